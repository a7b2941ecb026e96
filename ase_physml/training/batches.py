"""Batches of equally sized structures, each a pure function of seed and step.

Batch number t never depends on what was drawn before it, so a run that resumes at any
step sees the batches it would have seen, in any number of processes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ase_physml.data.columns import BY_NAME
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.groups import groups_of, numbered
from ase_physml.errors import DataError
from ase_physml.graph import AllPairs, AtomGraph, PeriodicEdgeList
from ase_physml.models.energy_model import EnergyConfig
from ase_physml.training.distributed import Shard

Ints = npt.NDArray[np.int64]
Values = npt.NDArray[Any]

IN_MEMORY = 50_000_000
"""Sets of up to so many atoms are kept in memory, 28 bytes an atom with forces."""

# Columns that structures and the losses of this package are made of: field of a batch,
# and its dtype.
_READ: dict[str, tuple[str, npt.DTypeLike]] = {
    "atomic_numbers": ("numbers", np.int64),
    "positions": ("positions", np.float32),
    "energy": ("energies", np.float64),
    "forces": ("forces", np.float32),
    "cell": ("cell", np.float32),
    "pbc": ("pbc", bool),
    "fixed": ("fixed", bool),
    "stress": ("stress", np.float32),
}
# There in every batch; of cells alone.
_ALWAYS, _OF_CELLS = ("energy", "forces"), ("cell", "pbc", "stress")


@dataclass(frozen=True)
class Batch:
    """M structures of N atoms, molecules or cells.

    Attributes:
        step: Number of the batch in the stream; seeds its noise.
        numbers: Atomic numbers (M, N).
        positions: Positions (M, N, 3), Å.
        energies: Total energies (M,) in eV, float64; NaN where there is no label.
        forces: Forces (M, N, 3), eV/Å, NaN where there are no labels.
        equilibrium: All of them are minima of their energy surface.
        relative: Energies mean something within a group only.
        cell: Lattice vectors in rows, (M, 3, 3) Å; None if all are molecules.
        pbc: Directions along which a structure repeats, (M, 3); None with the cell.
        fixed: Atoms that were held, whose forces need not be zero at a minimum, (M, N);
            None if the set has no such atoms.
        stress: Stress (M, 3, 3), eV/Å^3, NaN where there is no label; None if the set
            has none.
        group: Number of the group whose energies are compared, (M,); None if none are.
        labels: Further labels that losses of the recipe learn from, by the name of
            their column, NaN where there is none: (M, ...) or (M, N, ...).
        share: Part of the step's batch that these structures are.
        whole: Structures of the whole batch; None if these are all.
    """

    step: int
    numbers: Tensor
    positions: Tensor
    energies: Tensor
    forces: Tensor
    equilibrium: bool
    cell: Tensor | None = None
    pbc: Tensor | None = None
    fixed: Tensor | None = None
    stress: Tensor | None = None
    group: Tensor | None = None
    relative: bool = False
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    share: Shard = field(default_factory=Shard)
    whole: int | None = None

    @property
    def size(self) -> int:
        """Structures of the batch, in all processes."""
        return len(self.numbers) if self.whole is None else self.whole

    def graph(self, config: EnergyConfig) -> AtomGraph:
        """Graph that a model reads: all pairs of molecules, the neighbours in cells."""
        if self.cell is None or self.pbc is None:
            return AllPairs(self.numbers, self.positions)
        m, n = self.numbers.shape
        return PeriodicEdgeList.build_cells(
            self.numbers.flatten(),
            self.positions.reshape(m * n, 3),
            torch.full((m,), n, device=self.numbers.device),
            self.cell,
            self.pbc,
            config.cutoff,
            config.pair_cutoff or config.cutoff,
        )

    def first(self, count: int) -> Self:
        """Batch of only the first so many structures."""
        return self._each(lambda part: part[:count])

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        return self._each(lambda part: part.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in values.items():
            if isinstance(value, Tensor):
                values[name] = change(value)
        labels = {name: change(value) for name, value in self.labels.items()}
        return replace(self, **values | {"labels": labels})


class FrameStore:
    """Chosen frames of one HDF5 set, in memory when they fit.

    Args:
        data: The open set.
        frames: Indices into it.
        in_memory: Atoms of a set that is kept in memory; larger ones are read from
            their file, batch by batch.
        compare: Column in which frames agree whose energies are compared, or
            "reaction"; see `groups_of`.
        labels: Further columns, of `Batch.labels`.

    Attributes:
        equilibrium: Its frames are minima, where forces are zero.
        minima: Its frames are minima, if only of the sum of a baseline and labels.
        periodic: Some structure of the set repeats; `Batch.cell` is then there for all.
        relative: Its energies are differences within a group, of no use as totals.
    """

    def __init__(
        self,
        data: RaggedSet,
        frames: Ints,
        in_memory: int = IN_MEMORY,
        compare: str | None = None,
        labels: Sequence[str] = (),
    ) -> None:
        if data.metadata.equilibrium is None and not data.has("forces"):
            raise DataError(
                f"{data.path}: has neither forces nor the attribute 'equilibrium'; set "
                "it so that training knows whether forces there should be zero"
            )
        self.data = data
        self.frames = frames
        self.n_atoms = data.n_atoms[frames]
        self.equilibrium = bool(data.metadata.equilibrium)
        self.minima = self.equilibrium or bool(data.metadata.extra.get("minima"))
        self.relative = data.metadata.relative
        self.periodic = data.has("pbc") and bool(data.column("pbc").any())
        if self.periodic and not data.has("cell"):
            raise DataError(f"{data.path}: has pbc but no cell; write it with both")
        self.groups: Ints | None = None
        if compare is not None:
            self.groups = numbered(_named(data, compare)).astype(np.int64)
        self.labels = tuple(name for name in labels if name not in _READ)
        read = [
            *self.labels,
            *(n for n in _READ if self.periodic or n not in _OF_CELLS),
        ]
        self.read = [name for name in read if data.has(name)]
        self.columns: dict[str, Values] = {}
        if int(data.offsets[-1]) <= in_memory:
            self.columns = {name: data.column(name) for name in self.read}

    def choose(self, frames: Ints) -> "FrameStore":
        """Other frames of the same set, which is not read again."""
        other = copy(self)
        other.frames, other.n_atoms = frames, self.data.n_atoms[frames]
        return other

    def groups_at(self, chosen: Ints) -> Ints | None:
        """Numbers of the groups of frames, if any are compared."""
        return None if self.groups is None else self.groups[self.frames[chosen]]

    def batch(self, chosen: Ints, step: int = 0, share: Shard | None = None) -> Batch:
        """Frames of equal size as one batch, or a process's share of it.

        Args:
            chosen: Frames, counted within this store.
            step: Number of the batch.
            share: Part of the frames that is wanted; None for all.
        """
        share = share or Shard()
        own = share.of(chosen)
        frames, n = self.frames[own], int(self.n_atoms[own[0]])
        fields: dict[str, Any] = {}
        for name, (place, dtype) in _READ.items():
            if name in self.read or name in _ALWAYS:
                fields[place] = self._values(name, frames, n, dtype)
        return Batch(
            step=step,
            equilibrium=self.equilibrium,
            group=None if self.groups is None else torch.as_tensor(self.groups[frames]),
            relative=self.relative,
            labels={k: self._values(k, frames, n, np.float32) for k in self.labels},
            share=share,
            whole=len(chosen),
            **fields,
        )

    def _values(self, name: str, frames: Ints, n: int, dtype: npt.DTypeLike) -> Tensor:
        """Rows of a column for frames of n atoms; NaN of what the set has not."""
        shape = (len(frames), *BY_NAME[name].shape_of(n))
        if name not in self.read:
            return torch.as_tensor(np.full(shape, np.nan, dtype))
        rows = self._rows(name, frames, n)
        return torch.as_tensor(rows.reshape(shape).astype(dtype))

    def _rows(self, name: str, frames: Ints, n: int) -> Values:
        """Rows of a column, of memory or of the file, in the order of frames."""
        first, rows = frames, 1
        if BY_NAME[name].per_atom:
            first, rows = self.data.offsets[frames], n
        if name in self.columns:
            stored = self.columns[name]
            return np.asarray(stored[(first[:, None] + np.arange(rows)).ravel()])
        # From the front of the file to its end.
        order = np.argsort(first)
        parts = [self.data.column(name, k, k + rows) for k in first[order]]
        return np.concatenate([parts[k] for k in np.argsort(order)])


def _named(data: RaggedSet, compare: str) -> Iterator[str]:
    """Labels of groups, none of them empty: those would be one group of anything."""
    for frame, label in enumerate(groups_of(data, compare)):
        if not label:
            raise DataError(
                f"{data.path}: frame {frame} has no {compare} to be compared by; name "
                "it, or leave it out"
            )
        yield label


def _gathered(groups: Ints) -> Ints:
    """The order in which groups come as a whole, each where its first member was."""
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(first[place], kind="stable").astype(np.int64)


class BatchStream(Dataset[Batch]):
    """Endless batches over several stores: ``stream[t]`` for t = 0, 1, 2, ...

    One pass visits every frame once, in batches of one size and one store, in an order
    drawn from the seed and the number of the pass. Frames of a group whose energies are
    compared stay side by side.

    Args:
        stores: Where frames come from.
        batch_size: Molecules per batch; the last of each size may be smaller.
        seed: Seed of the order.
    """

    def __init__(
        self, stores: Sequence[FrameStore], batch_size: int, seed: int
    ) -> None:
        self.stores = list(stores)
        self.batch_size = batch_size
        self.seed = seed
        self.groups: list[tuple[int, Ints]] = []
        for i, store in enumerate(self.stores):
            for n in np.unique(store.n_atoms):
                members = np.flatnonzero(store.n_atoms == n)
                self.groups.append((i, members.astype(np.int64)))
        self.per_pass = sum(-(-len(g) // batch_size) for _, g in self.groups)
        if not self.per_pass:
            raise DataError("there are no frames to train on")
        self._plan: tuple[int, list[tuple[int, Ints]]] | None = None

    def __len__(self) -> int:
        return self.per_pass

    def __getitem__(self, step: int) -> Batch:
        return self.batch(step)

    def batch(
        self, step: int, share: Shard | None = None, number: int | None = None
    ) -> Batch:
        """A process's share of a batch of the stream.

        Args:
            step: Place in the stream.
            share: Part of the batch; None for all.
            number: Number of the batch in the whole training, if it is another.
        """
        pass_, within = divmod(step, self.per_pass)
        store, chosen = self.plan(pass_)[within]
        number = step if number is None else number
        return self.stores[store].batch(chosen, number, share)

    def plan(self, number: int) -> list[tuple[int, Ints]]:
        """Store and frames of every batch of one pass."""
        if self._plan is None or self._plan[0] != number:
            random = np.random.default_rng([self.seed, number])
            batches = []
            for store, members in self.groups:
                order = random.permutation(members)
                groups = self.stores[store].groups_at(order)
                if groups is not None:
                    order = order[_gathered(groups)]
                cuts = range(self.batch_size, len(order), self.batch_size)
                batches += [(store, part) for part in np.split(order, cuts)]
            shuffled = [batches[i] for i in random.permutation(len(batches))]
            self._plan = (number, shuffled)
        return self._plan[1]
