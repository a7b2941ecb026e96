"""Per-element self-energies E0, and the bias of a fresh model, by least squares."""

import numpy as np
import numpy.typing as npt
import torch

from ase_physml.errors import DataError
from ase_physml.models.physml.model import PhysML
from ase_physml.training.batches import Batch, BatchStream, FrameStore

Floats = npt.NDArray[np.float64]


def composition(store: FrameStore, elements: tuple[int, ...]) -> Floats:
    """How many atoms of each element every frame of a store has, (M, elements)."""
    data = store.data
    numbers = data.column("atomic_numbers").astype(np.int64)
    frame = np.repeat(np.arange(len(data)), data.n_atoms)
    table = np.zeros((len(data), 120))
    np.add.at(table, (frame, numbers), 1.0)
    counts: Floats = table[store.frames][:, list(elements)]
    return counts


def elements_of(stores: list[FrameStore]) -> tuple[int, ...]:
    """Atomic numbers that occur in the sets, ascending."""
    found: set[int] = set()
    for store in stores:
        found |= set(np.unique(store.data.column("atomic_numbers")).tolist())
    return tuple(sorted(found))


def fit_self_energies(model: PhysML, stores: list[FrameStore]) -> float:
    """Set E0 from the labelled frames; return the mean residual in eV.

    Raises:
        DataError: No set has energies.
    """
    labelled = [s for s in stores if s.data.has("energy")]
    if not labelled:
        raise DataError("no training set has energies: there is nothing to fit E0 to")
    counts = np.concatenate([composition(s, model.config.elements) for s in labelled])
    energies = np.concatenate([s.data.column("energy")[s.frames] for s in labelled])
    known = np.isfinite(energies)
    counts, energies = counts[known], energies[known].astype(np.float64)
    fitted, *_ = np.linalg.lstsq(counts, energies, rcond=None)
    model.self_energies[:-1] = torch.from_numpy(fitted)
    return float(np.abs(energies - counts @ fitted).mean())


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
