"""What either model says of a batch, under one set of names."""

from typing import NamedTuple

import torch
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.hamnet.engine import HamNetEngine
from ase_physml.models.physchem.model import PhysChem
from ase_physml.models.property_committee import PropertyCommittee
from ase_physml.models.property_head import Head
from ase_physml.potentials.molecular import MolecularModel

_EPS = 1e-7  # probabilities of 0 or 1 have no finite logit


class MolecularPrediction(NamedTuple):
    """Predictions for N atoms in M molecules.

    Attributes:
        trajectory: Positions before the first and after each step, Å, (T + 1, N, 3);
            a single one where there are no steps, None where there are no positions.
        distances: Of pairs, predicted without positions, Å, (P,), or None.
        property: As of the model's head, or None. Of a committee, the mean of the
            members' numbers, or the logits of the mean of their probabilities.
        fingerprint: Of molecules, (M, F), or None. Of a committee, those of the
            members side by side.
        spread: Standard deviation of the members' numbers or probabilities, of the
            shape of ``property``; None without a committee.
    """

    trajectory: Tensor | None
    distances: Tensor | None
    property: Tensor | None
    fingerprint: Tensor | None = None
    spread: Tensor | None = None


def predict(model: MolecularModel, graph: BondedGraph) -> MolecularPrediction:
    """Ask a model; conformations of a committee are those of its first member."""
    if isinstance(model, PropertyCommittee):
        return _together(model, [predict(member, graph) for member in model.members])
    if isinstance(model, PhysChem):
        found = model(graph)
        path = torch.stack(found.trajectory) if found.trajectory else None
        return MolecularPrediction(
            path, found.distances, found.property, found.molecules
        )
    if isinstance(model, HamNetEngine):
        return MolecularPrediction(model(graph).trajectory, None, None)
    answer = model(graph)
    path = None if answer.positions is None else answer.positions[None]
    return MolecularPrediction(path, None, answer.property, answer.fingerprint)


def probabilities(answers: Tensor, head: Head) -> Tensor:
    """Of the classes, from what a head says of them; numbers stay as they are."""
    if head == "classification":
        return torch.sigmoid(answers)
    return torch.softmax(answers, dim=-1) if head == "multiclass" else answers


def _together(
    model: PropertyCommittee, said: list[MolecularPrediction]
) -> MolecularPrediction:
    head = model.config.head
    found = [one.property for one in said if one.property is not None]
    values = torch.stack([probabilities(one, head) for one in found])
    mean = values.mean(0)
    if head == "classification":
        mean = torch.logit(mean, eps=_EPS)
    elif head == "multiclass":
        mean = mean.clamp(min=_EPS).log()
    prints = [one.fingerprint for one in said if one.fingerprint is not None]
    return said[0]._replace(
        property=mean, fingerprint=torch.cat(prints, dim=1), spread=values.std(0)
    )
