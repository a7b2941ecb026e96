"""Models that read bonds: what they share, and what they say of a batch."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.architecture import Dropout, ModelConfig, Targets, Width
from ase_physml.models.pooling import Pooling
from ase_physml.models.property_head import Head, PropertyHead


@dataclass(frozen=True)
class BondedConfig(ModelConfig):
    """Base of the configurations of models that read bonds.

    Attributes:
        atom_features: Width of the atom features, 39 (paper) or 34 (published code).
        pooling: Start of the readout: the "mean" over the atoms (paper), or their
            "sum": a mean cannot count, and attention is one.
        targets: Number of properties of a molecule; 0 for conformations alone.
        head: "regression", "classification" (each target present or not) or
            "multiclass".
        classes: Number of classes of each target of a "multiclass" head.
        dropout: Dropout between layers, 0 to 1.
    """

    atom_features: Width = 39
    pooling: Pooling = "mean"
    targets: Targets = 0
    head: Head = "regression"
    classes: Width = 4
    dropout: Dropout = 0.0

    @property
    def reads_positions(self) -> bool:
        """Conformations are read, and not predicted."""
        return False


class MolecularPrediction(NamedTuple):
    """Predictions for N atoms in M molecules.

    Attributes:
        trajectory: Positions before the first and after each step, Å, (T + 1, N, 3);
            a single one where there are no steps, None where there are no positions.
        distances: Distances of pairs, predicted without positions, Å, (P,), or None.
        property: Output of the model's head, or None. Of an ensemble, the mean of the
            members' numbers, or the logits of the mean of their probabilities.
        fingerprint: Fingerprints of molecules, (M, F), or None. Of an ensemble, those
            of the members side by side.
        spread: Standard deviation of the members' numbers or probabilities, of the
            shape of ``property``; None of a single model.
    """

    trajectory: Tensor | None
    distances: Tensor | None
    property: Tensor | None
    fingerprint: Tensor | None = None
    spread: Tensor | None = None


class BondedModel(nn.Module):
    """Base of models of molecules; a model implements `forward` and `predict`.

    Attributes:
        config: Architecture.
        head: Map from fingerprints to properties, if there are any.
    """

    config: Any
    head: PropertyHead | None

    def predict(self, graph: BondedGraph) -> MolecularPrediction:
        """Output of `forward` for a batch, under the names all models share."""
        raise NotImplementedError


def probabilities(answers: Tensor, head: Head) -> Tensor:
    """Probabilities of classes from the output of a head; numbers stay as they are."""
    if head == "classification":
        return torch.sigmoid(answers)
    return torch.softmax(answers, dim=-1) if head == "multiclass" else answers
