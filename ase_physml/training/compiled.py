"""Energies and forces as compiled graphs, for training.

Shapes are symbolic: one compilation (some minutes) serves every batch.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ase_physml.graph import AllPairs, AtomGraph, PeriodicEdgeList
from ase_physml.models.energy_model import (
    EnergyModel,
    energy_and_forces,
    energy_forces_and_strain,
)
from ase_physml.models.traced import Parts, parts_of, trace, weights_of

_Compiled = Callable[..., Any]


class Evaluator:
    """Energies, forces, stress and scores of a model, as the losses need them."""

    def __init__(self, model: EnergyModel) -> None:
        self.model = model

    def energies(self, graph: AtomGraph) -> Tensor:
        """Interaction energies (M,), eV."""
        energies: Tensor = self.model(graph).molecules
        return energies

    def energies_and_forces(self, graph: AtomGraph) -> tuple[Tensor, Tensor]:
        """Energies (M,), eV, and forces (*A, 3), eV/Å; both have gradients."""
        energies, forces, _ = self.with_charges(graph)
        return energies, forces

    def with_charges(self, graph: AtomGraph) -> tuple[Tensor, Tensor, Tensor | None]:
        """Energies, forces and, if the model has them, charges (*A), e."""
        energies, forces = energy_and_forces(self.model, graph, create_graph=True)
        return energies.molecules, forces, energies.charges

    def energies_forces_and_stress(
        self, graph: PeriodicEdgeList
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Energies, forces, and stress (M, 3, 3) in eV/Å^3: zero of what has no volume.

        Never compiled: nothing is traced for gradients by the cell.
        """
        energies, forces, by_strain = energy_forces_and_strain(
            self.model, graph, create_graph=True
        )
        volume = torch.linalg.det(graph.cell).abs()[:, None, None]
        stress = torch.where(volume > 0.0, by_strain / volume.clamp(min=1e-6), 0.0)
        return energies.molecules, forces, stress

    def mask_logits(self, graph: AtomGraph) -> Tensor:
        """MAM scores (*A, C)."""
        return self.model.mask_logits(graph)


class CompiledEvaluator(Evaluator):
    """Evaluator of functions compiled at their first batch of molecules or cells.

    Batches of one structure, or of diatomics and smaller, take the plain path: sizes of
    0 and 1 are never symbolic, and each would cost a compilation of its own.
    """

    def __init__(self, model: EnergyModel) -> None:
        super().__init__(model)
        self._energies = torch.compile(self._energies_of, dynamic=True)
        self._mask_logits = torch.compile(self._logits_of, dynamic=True)
        self._traced: dict[type[AtomGraph], _Compiled] = {}

    def energies(self, graph: AtomGraph) -> Tensor:
        """Interaction energies (M,), eV."""
        if _awkward(graph):
            return super().energies(graph)
        return self._energies(type(graph), parts_of(graph))

    def mask_logits(self, graph: AtomGraph) -> Tensor:
        """MAM scores (*A, C)."""
        if _awkward(graph):
            return super().mask_logits(graph)
        return self._mask_logits(type(graph), parts_of(graph))

    def with_charges(self, graph: AtomGraph) -> tuple[Tensor, Tensor, Tensor | None]:
        """Energies, forces and, if the model has them, charges (*A), e."""
        kind = type(graph)
        has_charges = self.model.config.has_charges
        # Ewald's sum has as many terms as a cell wants, which no trace knows.
        kinds = AllPairs if has_charges else AllPairs | PeriodicEdgeList
        if _awkward(graph) or not issubclass(kind, kinds):
            return super().with_charges(graph)
        if kind not in self._traced:
            traced = trace(self.model, graph.positions, kind)
            self._traced[kind] = torch.compile(traced, dynamic=True)
        compiled = self._traced[kind]
        found = compiled(*weights_of(self.model), parts_of(graph))
        energies, _, forces, *charges = found
        return energies, forces, charges[0] if charges else None

    def _energies_of(self, kind: type[AtomGraph], parts: Parts) -> Tensor:
        return super().energies(kind(**parts))

    def _logits_of(self, kind: type[AtomGraph], parts: Parts) -> Tensor:
        return super().mask_logits(kind(**parts))


def _awkward(graph: AtomGraph) -> bool:
    atoms = graph.positions.numel() // (3 * graph.n_molecules)
    # Many pairs are computed in parts, whose number is a plain one.
    return graph.n_molecules < 2 or atoms < 3 or len(graph.pair_parts()) > 1
