"""Energies and forces as compiled graphs, for training.

Shapes are symbolic: one compilation (some minutes) serves every batch.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ase_physml.graph import AllPairs, AtomGraph
from ase_physml.models.physml.forces import energy_and_forces
from ase_physml.models.physml.model import PhysML
from ase_physml.models.physml.traced import trace, weights_of

_Compiled = Callable[..., Any]


class Evaluator:
    """What the losses need of a model."""

    def __init__(self, model: PhysML) -> None:
        self.model = model

    def energies(self, graph: AtomGraph) -> Tensor:
        """Interaction energies (M,)."""
        energies: Tensor = self.model(graph).molecules
        return energies

    def energies_and_forces(self, graph: AtomGraph) -> tuple[Tensor, Tensor]:
        """Energies (M,) and forces (*A, 3), both differentiable in the weights."""
        energies, forces = energy_and_forces(self.model, graph, create_graph=True)
        return energies.molecules, forces

    def mask_logits(self, graph: AtomGraph) -> Tensor:
        """MAM scores (*A, C)."""
        return self.model.mask_logits(graph)


class CompiledEvaluator(Evaluator):
    """The same functions, each compiled at its first batch of molecules.

    Batches of one molecule, or of diatomics and smaller, take the plain path: sizes of
    0 and 1 are never symbolic, and each would cost a compilation of its own. So do
    cells, whose neighbours are lists.
    """

    def __init__(self, model: PhysML) -> None:
        super().__init__(model)
        self._energies = torch.compile(self._energies_of, dynamic=True)
        self._mask_logits = torch.compile(self._logits_of, dynamic=True)
        self._traced: _Compiled | None = None

    def energies(self, graph: AtomGraph) -> Tensor:
        """As the plain one."""
        if _awkward(graph):
            return super().energies(graph)
        return self._energies(graph.numbers, graph.positions)

    def mask_logits(self, graph: AtomGraph) -> Tensor:
        """As the plain one."""
        if _awkward(graph):
            return super().mask_logits(graph)
        return self._mask_logits(graph.numbers, graph.positions)

    def energies_and_forces(self, graph: AtomGraph) -> tuple[Tensor, Tensor]:
        """As the plain one."""
        if _awkward(graph):
            return super().energies_and_forces(graph)
        if self._traced is None:
            traced = trace(self.model, graph.positions)
            self._traced = torch.compile(traced, dynamic=True)
        energies, _, forces = self._traced(
            *weights_of(self.model), graph.numbers, graph.positions
        )
        return energies, forces

    def _energies_of(self, numbers: Tensor, positions: Tensor) -> Tensor:
        return super().energies(AllPairs(numbers, positions))

    def _logits_of(self, numbers: Tensor, positions: Tensor) -> Tensor:
        return super().mask_logits(AllPairs(numbers, positions))


def _awkward(graph: AtomGraph) -> bool:
    if not isinstance(graph, AllPairs):
        return True
    return graph.numbers.shape[0] < 2 or graph.numbers.shape[1] < 3
