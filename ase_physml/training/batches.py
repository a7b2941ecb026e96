"""Batches of equally sized molecules, each a pure function of seed and step.

Batch number t never depends on what was drawn before it, so a run that resumes at any
step sees the batches it would have seen, in any number of processes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ase_physml.data.ragged import RaggedSet
from ase_physml.errors import DataError

Ints = npt.NDArray[np.int64]

# Sets up to this many atoms are kept in memory (28 bytes an atom, forces included).
_PRELOAD_ATOMS = 50_000_000


@dataclass(frozen=True)
class Batch:
    """M molecules of N atoms.

    Attributes:
        step: Number of the batch in the stream; seeds its noise.
        numbers: (M, N).
        positions: (M, N, 3) Å.
        energies: Total energies (M,) in eV, float64; NaN where there is no label.
        forces: (M, N, 3) eV/Å, NaN where there are no labels.
        equilibrium: All of them are minima of their energy surface.
    """

    step: int
    numbers: Tensor
    positions: Tensor
    energies: Tensor
    forces: Tensor
    equilibrium: bool

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        return replace(
            self,
            numbers=self.numbers.to(device),
            positions=self.positions.to(device),
            energies=self.energies.to(device),
            forces=self.forces.to(device),
        )


class FrameStore:
    """Chosen frames of one HDF5 set, in memory when they fit.

    Args:
        data: The open set.
        frames: Indices into it.
    """

    def __init__(self, data: RaggedSet, frames: Ints) -> None:
        if data.metadata.equilibrium is None and not data.has("forces"):
            raise DataError(
                f"{data.path}: has neither forces nor the attribute 'equilibrium'; set "
                "it so that training knows whether forces there should be zero"
            )
        self.data = data
        self.frames = frames
        self.n_atoms = data.n_atoms[frames]
        self.equilibrium = bool(data.metadata.equilibrium)
        self.columns: dict[str, npt.NDArray[np.generic]] | None = None
        if int(data.offsets[-1]) <= _PRELOAD_ATOMS:
            names = ["atomic_numbers", "positions", "energy", "forces"]
            self.columns = {n: data.column(n) for n in names if data.has(n)}

    def dense(self, chosen: Ints, step: int) -> Batch:
        """Frames of equal size as one batch; ``chosen`` counts within this store."""
        frames = self.frames[chosen]
        n = int(self.n_atoms[chosen[0]])
        shape = (len(chosen), n)
        arrays = self._from_memory(frames, n) or self._from_file(frames)
        numbers, positions, energies, forces = arrays
        if energies is None:
            energies = np.full(len(chosen), np.nan)
        if forces is None:
            forces = np.full((*shape, 3), np.nan, dtype=np.float32)
        return Batch(
            step=step,
            numbers=torch.as_tensor(numbers.reshape(shape).astype(np.int64)),
            positions=torch.as_tensor(positions.reshape(*shape, 3).astype(np.float32)),
            energies=torch.as_tensor(energies.astype(np.float64)),
            forces=torch.as_tensor(forces.reshape(*shape, 3).astype(np.float32)),
            equilibrium=self.equilibrium,
        )

    def _from_memory(self, frames: Ints, n: int) -> "_Arrays | None":
        if self.columns is None:
            return None
        rows = (self.data.offsets[frames][:, None] + np.arange(n)).ravel()
        take = {
            name: column[frames if name == "energy" else rows]
            for name, column in self.columns.items()
        }
        return (
            take["atomic_numbers"],
            take["positions"],
            take.get("energy"),
            take.get("forces"),
        )

    def _from_file(self, frames: Ints) -> "_Arrays":
        read = self.data.read(frames)
        energies = [np.nan if f.energy is None else f.energy for f in read]
        forces = [
            np.full_like(f.positions, np.nan) if f.forces is None else f.forces
            for f in read
        ]
        return (
            np.concatenate([f.numbers for f in read]),
            np.concatenate([f.positions for f in read]),
            np.array(energies),
            np.concatenate(forces),
        )


_Arrays = tuple[
    npt.NDArray[np.generic],
    npt.NDArray[np.generic],
    npt.NDArray[np.generic] | None,
    npt.NDArray[np.generic] | None,
]


class BatchStream(Dataset[Batch]):
    """Endless batches over several stores: ``stream[t]`` for t = 0, 1, 2, ...

    One pass visits every frame once, in batches of one size and one store, in an order
    drawn from the seed and the number of the pass.

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
        number, within = divmod(step, self.per_pass)
        store, chosen = self.plan(number)[within]
        return self.stores[store].dense(chosen, step)

    def plan(self, number: int) -> list[tuple[int, Ints]]:
        """(store, frames) of every batch of one pass."""
        if self._plan is None or self._plan[0] != number:
            random = np.random.default_rng([self.seed, number])
            batches = []
            for store, members in self.groups:
                order = random.permutation(members)
                cuts = range(self.batch_size, len(order), self.batch_size)
                batches += [(store, part) for part in np.split(order, cuts)]
            shuffled = [batches[i] for i in random.permutation(len(batches))]
            self._plan = (number, shuffled)
        return self._plan[1]


class StagedStream(Dataset[Batch]):
    """One stream after another: ``staged[t]`` with t counted over all processes.

    Args:
        stages: Optimizer steps and batches of each stage.
        world: Processes; each optimizer step uses one batch of each.
    """

    def __init__(
        self, stages: Sequence[tuple[int, BatchStream]], world: int = 1
    ) -> None:
        self.stages = [(steps * world, stream) for steps, stream in stages]

    def __getitem__(self, number: int) -> Batch:
        within = number
        for length, stream in self.stages:
            if within < length:
                return replace(stream[within], step=number)
            within -= length
        raise IndexError(f"step {number} is beyond the last stage")


class StepSampler(Sampler[int]):
    """Steps of one epoch, and of one process: Lightning calls `set_epoch`.

    Args:
        steps_per_epoch: Optimizer steps in an epoch.
        rank: This process.
        world: All processes; each takes its own batches.
    """

    def __init__(self, steps_per_epoch: int, rank: int = 0, world: int = 1) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.rank, self.world = rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Continue the stream at this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.steps_per_epoch
        for step in range(first, first + self.steps_per_epoch):
            yield step * self.world + self.rank
