"""What either model says of a batch, under one set of names."""

from typing import NamedTuple

import torch
from torch import Tensor

from ase_physml.models.hamnet.engine import HamNetEngine
from ase_physml.models.physchem.model import PhysChem
from ase_physml.molecular_graph import MolecularGraph
from ase_physml.potentials.molecular import MolecularModel


class Said(NamedTuple):
    """Predictions for N atoms in M molecules.

    Attributes:
        trajectory: Positions before the first and after each step, Å, (T + 1, N, 3);
            a single one where there are no steps, None where there are no positions.
        distances: Of pairs, predicted without positions, Å, (P,), or None.
        property: As of the model's head, or None.
        fingerprint: Of molecules, (M, F), or None.
    """

    trajectory: Tensor | None
    distances: Tensor | None
    property: Tensor | None
    fingerprint: Tensor | None = None


def predict(model: MolecularModel, graph: MolecularGraph) -> Said:
    """Ask a model."""
    if isinstance(model, PhysChem):
        found = model(graph)
        path = torch.stack(found.trajectory) if found.trajectory else None
        return Said(path, found.distances, found.property, found.molecules)
    if isinstance(model, HamNetEngine):
        return Said(model(graph).trajectory, None, None)
    answer = model(graph)
    path = None if answer.positions is None else answer.positions[None]
    return Said(path, None, answer.property, answer.fingerprint)
