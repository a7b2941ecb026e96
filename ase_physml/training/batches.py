"""Batches of equally sized structures, each a pure function of seed and step.

Batch number t never depends on what was drawn before it, so a run that resumes at any
step sees the batches it would have seen, in any number of processes.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ase_physml.data.columns import BY_NAME
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.groups import groups_of, numbered
from ase_physml.errors import DataError
from ase_physml.graph import AllPairs, AtomGraph, PeriodicEdgeList
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.training.distributed import Shard

if TYPE_CHECKING:
    import lightning.pytorch as pl

Ints = npt.NDArray[np.int64]

IN_MEMORY = 50_000_000
"""Sets of up to so many atoms are kept in memory, 28 bytes an atom with forces."""

# Columns that losses read: field of a batch, and its dtype.
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
        numbers: (M, N).
        positions: (M, N, 3) Å.
        energies: Total energies (M,) in eV, float64; NaN where there is no label.
        forces: (M, N, 3) eV/Å, NaN where there are no labels.
        equilibrium: All of them are minima of their energy surface.
        relative: Energies mean something within a group only.
        cell: Lattice vectors in rows, (M, 3, 3) Å; None if all are molecules.
        pbc: Along which of them a structure repeats, (M, 3); None with the cell.
        fixed: Atoms that were held, whose forces need not be zero at a minimum, (M, N);
            None if the set has no such atoms.
        stress: (M, 3, 3) eV/Å^3, NaN where there is no label; None if the set has none.
        group: Number of the group whose energies are compared, (M,); None if none are.
        share: Which structures of the step's batch these are.
        whole: How many structures the whole batch has; None if these are all.
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
    share: Shard = field(default_factory=Shard)
    whole: int | None = None

    @property
    def size(self) -> int:
        """Structures of the batch, in all processes."""
        return len(self.numbers) if self.whole is None else self.whole

    def graph(self, config: PhysMLConfig) -> AtomGraph:
        """As a model reads it: all pairs of molecules, the neighbours in cells."""
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
        """Only the first so many structures."""
        return self._each(lambda part: part[:count])

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        return self._each(lambda part: part.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in values.items():
            if isinstance(value, Tensor):
                values[name] = change(value)
        return replace(self, **values)


class FrameStore:
    """Chosen frames of one HDF5 set, in memory when they fit.

    Args:
        data: The open set.
        frames: Indices into it.
        in_memory: Atoms of a set that is kept in memory; larger ones are read from
            their file, batch by batch.
        compare: What groups whose energies are compared have in common; see
            `groups_of`.

    Attributes:
        equilibrium: They are minima, where forces are zero.
        minima: They are minima, if only of the sum of a baseline and their labels.
        periodic: Some structure of the set repeats; `Batch.cell` is then there for all.
        relative: Its energies are differences within a group, of no use as totals.
    """

    def __init__(
        self,
        data: RaggedSet,
        frames: Ints,
        in_memory: int = IN_MEMORY,
        compare: str | None = None,
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
        self.read = tuple(
            name
            for name in _READ
            if data.has(name) and (self.periodic or name not in _OF_CELLS)
        )
        self.columns: _Columns | None = None
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

    def dense(self, chosen: Ints, step: int) -> Batch:
        """Frames of equal size as one batch; ``chosen`` counts within this store."""
        frames = self.frames[chosen]
        m, n = len(chosen), int(self.n_atoms[chosen[0]])
        if self.columns is None:
            rows = self._from_file(frames)
        else:
            rows = self._from_memory(self.columns, frames, n)
        tensors: dict[str, Any] = {}
        for name, (place, dtype) in _READ.items():
            shape = (m, *BY_NAME[name].shape_of(n))
            if name in rows:
                values = rows[name].reshape(shape).astype(dtype)
            elif name in _ALWAYS:
                values = np.full(shape, np.nan, dtype)
            else:
                continue
            tensors[place] = torch.as_tensor(values)
        return Batch(
            step=step,
            equilibrium=self.equilibrium,
            group=None if self.groups is None else torch.as_tensor(self.groups[frames]),
            relative=self.relative,
            **tensors,
        )

    def _from_memory(self, columns: "_Columns", frames: Ints, n: int) -> "_Columns":
        atoms = (self.data.offsets[frames][:, None] + np.arange(n)).ravel()
        return {
            name: column[atoms if BY_NAME[name].per_atom else frames]
            for name, column in columns.items()
        }

    def _from_file(self, frames: Ints) -> "_Columns":
        """As from memory; what one frame lacks is what `RaggedSet` leaves out."""
        read = self.data.read(frames)
        return {name: BY_NAME[name].filled(read) for name in self.read}


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


_Columns = dict[str, npt.NDArray[Any]]


class BatchStream(Dataset[Batch]):
    """Endless batches over several stores: ``stream[t]`` for t = 0, 1, 2, ...

    One pass visits every frame once, in batches of one size and one store, in an order
    drawn from the seed and the number of the pass. Frames of a group whose energies are
    compared stay side by side.

    Args:
        stores: Where frames come from.
        batch_size: Molecules per batch; the last of each size may be smaller.
        seed: Of the order.
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
        return self.part(step, Shard())

    def part(self, step: int, share: Shard) -> Batch:
        """A process's share of a batch."""
        number, within = divmod(step, self.per_pass)
        store, chosen = self.plan(number)[within]
        batch = self.stores[store].dense(share.of(chosen), step)
        return replace(batch, share=share, whole=len(chosen))

    def plan(self, number: int) -> list[tuple[int, Ints]]:
        """(store, frames) of every batch of one pass."""
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


class StagedStream(Dataset[Batch]):
    """One stream after another: ``staged[t]`` is what optimizer step t learns from.

    Args:
        stages: Optimizer steps and batches of each stage.
        share: Of this process, of every batch.
    """

    def __init__(
        self, stages: Sequence[tuple[int, BatchStream]], share: Shard | None = None
    ) -> None:
        self.stages = list(stages)
        self.share = share or Shard()

    def __getitem__(self, number: int) -> Batch:
        within = number
        for length, stream in self.stages:
            if within < length:
                return replace(stream.part(within, self.share), step=number)
            within -= length
        raise IndexError(f"step {number} is beyond the last stage")


class StepSampler(Sampler[int]):
    """Steps of one epoch: Lightning calls `set_epoch`.

    Args:
        steps_per_epoch: Optimizer steps in an epoch.
        done: Steps that are done, where a run goes on in the middle of an epoch.
    """

    def __init__(
        self, steps_per_epoch: int, done: Callable[[], int] = lambda: 0
    ) -> None:
        self.steps_per_epoch, self.done = steps_per_epoch, done
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Continue the stream at this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[int]:
        # A generator, which looks at the epoch when the first step is asked for:
        # Lightning sets it after it has made the iterator.
        first = self.epoch * self.steps_per_epoch
        yield from range(max(first, self.done()), first + self.steps_per_epoch)


def steps_done(data: "pl.LightningDataModule") -> Callable[[], int]:
    """Optimizer steps of whoever trains on it, asked when they are needed."""
    return lambda: data.trainer.global_step if data.trainer is not None else 0
