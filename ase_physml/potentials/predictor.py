"""A model of molecules with what is needed to ask it and to read what it says."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph, Variant, variant_of
from ase_physml.errors import PotentialError
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.physchem.model import PhysChem
from ase_physml.models.property_committee import PropertyCommittee
from ase_physml.potentials.molecular import (
    Kind,
    MolecularCard,
    MolecularModel,
    SingleModel,
    load_molecular,
    members_of,
)
from ase_physml.potentials.predict import MolecularPrediction, predict, probabilities
from ase_physml.potentials.registry import resolve
from ase_physml.torch_state import plain_torch


@dataclass(frozen=True)
class Predictor:
    """A model in evaluation mode.

    Attributes:
        model: On the CPU.
        card: What it says of itself.
        name: For messages.
    """

    model: MolecularModel
    card: MolecularCard
    name: str

    @classmethod
    @plain_torch()
    def of(cls, model: str | Path | MolecularModel) -> Predictor:
        """Load a shipped name or a path; a module is copied.

        Raises:
            PotentialError: No such file, none of PhysChem or HamNet, or a model that
                reads conformations instead of predicting them.
        """
        if isinstance(model, str | Path):
            path = resolve(model)
            found = cls(*load_molecular(path), path.name)
        else:
            is_physchem = isinstance(members_of(model)[0], PhysChem)
            kind: Kind = "physchem" if is_physchem else "hamnet"
            card = MolecularCard(kind, kind, model.config.to_dict())
            found = cls(deepcopy(model).eval(), card, f"this {kind} model")
        found._refuse_given_positions()
        return found

    @property
    def first(self) -> SingleModel:
        """The model whose conformations count: of a committee, the first member."""
        return members_of(self.model)[0]

    @property
    def variant(self) -> Variant:
        """Which features of atoms the model reads."""
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
            return predict(self.model, graph.to(dtype))

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
        return isinstance(self.model, PropertyCommittee)

    def spread(self, said: MolecularPrediction) -> Tensor:
        """Standard deviations of `table`; a committee's alone.

        Of numbers, scaled to the committee's errors if these were measured.
        """
        assert said.spread is not None
        return (said.spread * self.card.uncertainty.get("scale", 1.0)).flatten(1)

    def _refuse_given_positions(self) -> None:
        config = self.model.config
        reads = (
            config.conformation == "given"
            if isinstance(config, HamNetConfig)
            else config.variant == "chemnet_conformer"
        )
        if reads:
            raise PotentialError(
                f"{self.name} reads conformations instead of predicting them; use a "
                "model that needs bonds alone"
            )
