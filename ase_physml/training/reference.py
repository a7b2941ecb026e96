"""Per-element self-energies E0, and the bias of a fresh model, by least squares."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from ase_physml.data.ragged import RaggedSet
from ase_physml.errors import DataError
from ase_physml.models.physml.model import PhysML
from ase_physml.training.batches import Batch, BatchStream, FrameStore

Floats = npt.NDArray[np.float64]


def composition(
    data: RaggedSet, elements: tuple[int, ...], start: int, stop: int
) -> Floats:
    """How many atoms of each element frames ``start:stop`` have, (M, elements)."""
    first, last = data.offsets[[start, stop]]
    place = np.full(120, len(elements))
    place[list(elements)] = np.arange(len(elements))
    frames = np.repeat(np.arange(stop - start), data.n_atoms[start:stop])
    width = len(elements) + 1
    cells = width * frames + place[data.column("atomic_numbers", first, last)]
    counted = np.bincount(cells, minlength=width * (stop - start))
    counts: Floats = counted.reshape(-1, width)[:, :-1].astype(np.float64)
    return counts


def elements_of(stores: list[FrameStore]) -> tuple[int, ...]:
    """Atomic numbers that occur in the sets, ascending."""
    found: set[int] = set()
    for data in (store.data for store in stores):
        for start, stop in data.slabs():
            first, last = data.offsets[[start, stop]]
            found |= set(np.unique(data.column("atomic_numbers", first, last)).tolist())
    return tuple(sorted(found))


def self_energies_of(
    stores: list[FrameStore], elements: tuple[int, ...]
) -> tuple[Floats, float]:
    """E0 of elements by least squares, eV, and the root mean square of what is left.

    Raises:
        DataError: No set has energies.
    """
    labelled = [s for s in stores if s.data.has("energy") and not s.relative]
    if not labelled:
        raise DataError("no training set has energies: there is nothing to fit E0 to")
    # Of (counts | energies) over all frames so far only R of its QR decomposition is
    # kept, which has the same least squares: a set of any size takes no more memory.
    triangle, count = np.zeros((0, len(elements) + 1)), 0
    for store in labelled:
        for rows in _known(store, elements):
            count += len(rows)
            stacked = np.concatenate([triangle, rows])
            triangle = np.asarray(np.linalg.qr(stacked, mode="r"))
    counts, energies = triangle[:, :-1], triangle[:, -1]
    fitted, *_ = np.linalg.lstsq(counts, energies, rcond=None)
    left = np.linalg.norm(energies - counts @ fitted) / max(1, count) ** 0.5
    return np.asarray(fitted, dtype=np.float64), float(left)


def fit_self_energies(model: PhysML, stores: list[FrameStore]) -> float:
    """Set E0 of a model; see `self_energies_of`."""
    fitted, left = self_energies_of(stores, model.config.elements)
    model.self_energies[:-1] = torch.from_numpy(fitted)
    return left


def _known(store: FrameStore, elements: tuple[int, ...]) -> Iterator[Floats]:
    """Counts of elements and, last, the energy of labelled frames, slab by slab."""
    data, frames = store.data, np.sort(store.frames)
    for start, stop in data.slabs():
        inside = frames[slice(*np.searchsorted(frames, [start, stop]))] - start
        if not len(inside):
            continue
        counts = composition(data, elements, start, stop)
        energies = data.column("energy", start, stop).astype(np.float64)
        rows = np.column_stack([counts, energies])[inside]
        yield rows[np.isfinite(rows[:, -1])]


@torch.no_grad()
def fit_bias(model: PhysML, stream: BatchStream, batches: int = 16) -> None:
    """Shift a fresh model by element so that it starts near the labels."""
    counts, residuals = [], []
    for step in range(min(batches, len(stream))):
        batch: Batch = stream[step]
        predicted = model(batch.graph(model.config)).molecules
        reference = model.reference_energy(batch.numbers).sum(1)
        residuals.append(batch.energies - reference - predicted)
        elements = torch.tensor(model.config.elements)
        counts.append((batch.numbers.unsqueeze(-1) == elements).sum(1).double())
    residual, count = torch.cat(residuals), torch.cat(counts)
    known = ~residual.isnan()
    if known.any():
        solution = torch.linalg.lstsq(
            count[known], residual[known].unsqueeze(-1), driver="gelsd"
        ).solution
        model.element_bias[:-1] = solution.squeeze(-1).to(model.element_bias)
