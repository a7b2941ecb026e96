"""A loaded model of molecules: bonded graphs in, conformations and properties out."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph, Variant, variant_of
from ase_physml.errors import PotentialError
from ase_physml.models.bonded_model import (
    BondedModel,
    MolecularPrediction,
    probabilities,
)
from ase_physml.models.ensemble import Ensemble, members_of
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import load_molecular
from ase_physml.store.registry import resolve
from ase_physml.torch_state import plain_torch


@dataclass(frozen=True)
class Predictor:
    """A model in evaluation mode.

    Attributes:
        model: The model, on the CPU.
        card: Its metadata.
        name: Its name in messages.
    """

    model: BondedModel
    card: ModelCard
    name: str

    @classmethod
    @plain_torch()
    def of(cls, model: str | Path | BondedModel) -> Predictor:
        """Load a shipped name or a path; a module is copied.

        Raises:
            PotentialError: No such file, none of PhysChem or HamNet, or a model that
                reads conformations instead of predicting them.
        """
        if isinstance(model, str | Path):
            path = resolve(model)
            found = cls(*load_molecular(path), path.name)
        else:
            card = ModelCard.for_model(model.config, name="module")
            found = cls(deepcopy(model).eval(), card, f"this {card.kind} model")
        if found.model.config.reads_positions:
            raise PotentialError(
                f"{found.name} reads conformations instead of predicting them; use a "
                "model that needs bonds alone"
            )
        return found

    @property
    def first(self) -> BondedModel:
        """Model whose conformations count: the first member of an ensemble."""
        return members_of(self.model)[0]

    @property
    def variant(self) -> Variant:
        """Features of atoms that the model reads."""
        return variant_of(self.model.config.atom_features)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of `table`, one for each class of several classes."""
        config = self.model.config
        names = list(self.card.target_names)
        names = names or [f"property_{k}" for k in range(config.targets)]
        if config.head != "multiclass":
            return tuple(names)
        return tuple(f"{n}={k}" for n in names for k in range(config.classes))

    @plain_torch()
    def __call__(self, graph: BondedGraph) -> MolecularPrediction:
        """Ask, without gradients; atoms stand in the order ``card.order``.

        Whatever the dtype of the graph, it is read in that of the model.
        """
        dtype = next(self.model.parameters()).dtype
        with torch.no_grad():
            return self.model.predict(graph.to(dtype))

    def table(self, said: MolecularPrediction) -> Tensor:
        """Properties, (M, len(columns)): values in the card's unit, or probabilities.

        Raises:
            PotentialError: The model predicts conformations alone.
        """
        if said.property is None:
            raise PotentialError(
                f"{self.name} predicts conformations, but no properties; use a model "
                "that was trained on properties"
            )
        return probabilities(said.property, self.model.config.head).flatten(1)

    @property
    def is_committee(self) -> bool:
        """There are several members, and so a `spread`."""
        return isinstance(self.model, Ensemble)

    def spread(self, said: MolecularPrediction) -> Tensor:
        """Standard deviations of `table`, of an ensemble alone.

        Those of numbers are scaled to its errors if these were measured.
        """
        assert said.spread is not None
        return (said.spread * self.card.uncertainty.get("scale", 1.0)).flatten(1)
