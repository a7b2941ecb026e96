"""Per-element self-energies E0, and the bias of a fresh model, by least squares.

Compositions rarely tell all elements apart: of one molecule alone, only the sum of its
atoms' energies is known. What the data leave open is solved with the smallest norm, and
round-off never counts as an equation.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch

from ase_physml.data.dataset import RaggedSet
from ase_physml.errors import DataError
from ase_physml.models.energy_model import EnergyModel
from ase_physml.models.physml.model import PhysML
from ase_physml.training.batches import Batch, BatchStream, FrameStore

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Relative to the largest singular value. Compositions are small integers: an element
# that one frame in ten million has still counts, and round-off, near 1e-15, does not.
_CUTOFF = 1e-8
# Of the model that is fine-tuned, frames looked at in all and of each element.
_FRAMES, _OF_ELEMENT = 1_000, 100
# eV an atom. No bond is stronger, and no method's bonds differ by as much from another.
_ABSURD = 10.0


def composition(
    data: RaggedSet, elements: tuple[int, ...], start: int, stop: int
) -> Floats:
    """Numbers of atoms of each element in frames ``start:stop``, (M, elements)."""
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
        for start, stop in data.chunks():
            first, last = data.offsets[[start, stop]]
            found |= set(np.unique(data.column("atomic_numbers", first, last)).tolist())
    return tuple(sorted(found))


def self_energies_of(
    stores: list[FrameStore], elements: tuple[int, ...]
) -> tuple[Floats, float]:
    """Self-energies E0 of elements by least squares, and the RMS of what is left, eV.

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
    fitted = _least_squares(counts, energies)[0]
    left = np.linalg.norm(energies - counts @ fitted) / max(1, count) ** 0.5
    return fitted, float(left)


def _least_squares(counts: Floats, energies: Floats) -> tuple[Floats, int]:
    """The solution of smallest norm, and the rank."""
    fitted, _, rank, _ = np.linalg.lstsq(counts, energies, rcond=_CUTOFF)
    return np.asarray(fitted, dtype=np.float64), int(rank)


def fit_self_energies(model: EnergyModel, stores: list[FrameStore]) -> float:
    """Set E0 of a fresh model; see `self_energies_of`."""
    fitted, left = self_energies_of(stores, model.config.elements)
    model.self_energies[:-1] = torch.from_numpy(fitted)
    return left


def refit_self_energies(model: EnergyModel, stores: list[FrameStore]) -> str:
    """Correct E0 of a model that is fine-tuned for data of another level of theory.

    The correction of smallest norm that makes the model right on average: elements that
    the data do not have keep their E0.

    Returns:
        A remark about it for people; "" if there is nothing to be said.

    Raises:
        DataError: No set has energies, or no correction by elements comes near them.
    """
    labelled = [s for s in stores if s.data.has("energy") and not s.relative]
    chosen = [(s, _sample(s, model.config.elements)) for s in labelled]
    batches = (batch for s, rows in chosen for batch in _batches(s, rows))
    counts, residuals = _residuals(model, batches)
    if not len(residuals):
        raise DataError("no training set has energies: there is nothing to fit E0 to")
    correction, rank = _least_squares(counts, residuals)
    left = np.abs(residuals - counts @ correction) / counts.sum(1)
    if not np.median(left) < _ABSURD:
        raise DataError(
            f"no correction of E0 brings the potential within {_ABSURD:g} eV an atom "
            f"of these energies (median {np.median(left):.3g}): they are not total "
            "energies in eV, or of several methods"
        )
    model.self_energies[:-1] += torch.from_numpy(correction)
    occurring = int((counts.sum(0) > 0).sum())
    if rank == occurring:
        return ""
    return (
        f"the compositions of the data settle {rank} of the E0 of their {occurring} "
        "elements: energies of molecules of other compositions are off by a constant"
    )


def _sample(store: FrameStore, elements: tuple[int, ...]) -> Ints:
    """Frames of a store, some with each element, counted within it."""
    data = store.data
    order = np.random.default_rng(0).permutation(len(store.frames))
    order = order[np.isfinite(data.column("energy")[store.frames[order]])]
    taken = np.zeros(len(store.frames), dtype=bool)
    taken[order[:_FRAMES]] = True
    has = _elements_of_frames(store, elements)
    for column in has.T:
        taken[order[column[order]][:_OF_ELEMENT]] = True
    return np.flatnonzero(taken)


def _elements_of_frames(
    store: FrameStore, elements: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """Mask of the elements that frames of a store have, (M, elements)."""
    has = np.zeros((len(store.data), len(elements)), dtype=bool)
    for start, stop in store.data.chunks():
        has[start:stop] = composition(store.data, elements, start, stop) > 0
    return has[store.frames]


def _batches(store: FrameStore, rows: Ints) -> Iterator[Batch]:
    """Batches of frames of a store, of equal size together."""
    sizes = store.n_atoms[rows]
    for size in np.unique(sizes):
        same = rows[sizes == size]
        for part in np.array_split(same, -(-len(same) // 32)):
            yield store.batch(part)


@torch.no_grad()
def _residuals(model: EnergyModel, batches: Iterable[Batch]) -> tuple[Floats, Floats]:
    """Counts of elements (M, elements), and labels less predictions in eV (M,)."""
    elements = torch.tensor(model.config.elements)
    counts, residuals = [torch.zeros(0, len(elements))], [torch.zeros(0)]
    for batch in batches:
        predicted = model(batch.graph(model.config)).molecules.double()
        reference = model.reference_energy(batch.numbers).sum(1)
        residuals.append(batch.energies - reference - predicted)
        counts.append((batch.numbers.unsqueeze(-1) == elements).sum(1))
    residual, count = torch.cat(residuals).double(), torch.cat(counts).double()
    known = residual.isfinite()
    return count[known].numpy(), residual[known].numpy()


def _known(store: FrameStore, elements: tuple[int, ...]) -> Iterator[Floats]:
    """Counts of elements and, last, the energy of labelled frames, chunk by chunk."""
    data, frames = store.data, np.sort(store.frames)
    for start, stop in data.chunks():
        inside = frames[slice(*np.searchsorted(frames, [start, stop]))] - start
        if not len(inside):
            continue
        counts = composition(data, elements, start, stop)
        energies = data.column("energy", start, stop).astype(np.float64)
        rows = np.column_stack([counts, energies])[inside]
        yield rows[np.isfinite(rows[:, -1])]


def fit_bias(model: EnergyModel, stream: BatchStream, batches: int = 16) -> None:
    """Shift a fresh PhysML by element, so that it starts near the labels."""
    if not isinstance(model, PhysML):
        return
    some = (stream[step] for step in range(min(batches, len(stream))))
    counts, residuals = _residuals(model, some)
    if len(residuals):
        shift, _ = _least_squares(counts, residuals)
        bias = model.element_bias.data
        bias[:-1] = torch.from_numpy(shift).to(bias)
