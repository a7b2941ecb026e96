"""Energies and forces as compiled graphs, for training.

Shapes are symbolic: one compilation (some minutes) serves every batch.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ase_physml.graph import AllPairs
from ase_physml.models.physml.forces import energy_and_forces
from ase_physml.models.physml.model import PhysML
from ase_physml.models.physml.traced import trace, weights_of

_Compiled = Callable[..., Any]


class Evaluator:
    """What the losses need of a model, for molecules of equal size."""

    def __init__(self, model: PhysML) -> None:
        self.model = model

    def energies(self, numbers: Tensor, positions: Tensor) -> Tensor:
        """Interaction energies (M,) of numbers (M, N) and positions (M, N, 3)."""
        energies: Tensor = self.model(AllPairs(numbers, positions)).molecules
        return energies

    def energies_and_forces(
        self, numbers: Tensor, positions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Energies (M,) and forces (M, N, 3), both differentiable in the weights."""
        graph = AllPairs(numbers, positions)
        energies, forces = energy_and_forces(self.model, graph, create_graph=True)
        return energies.molecules, forces

    def mask_logits(self, numbers: Tensor, positions: Tensor) -> Tensor:
        """MAM scores (M, N, C)."""
        return self.model.mask_logits(AllPairs(numbers, positions))


class CompiledEvaluator(Evaluator):
    """The same functions, each compiled at its first batch.

    Batches of one molecule, or of diatomics and smaller, take the plain path: sizes of
    0 and 1 are never symbolic, and each would cost a compilation of its own.
    """

    def __init__(self, model: PhysML) -> None:
        super().__init__(model)
        self._energies = torch.compile(super().energies, dynamic=True)
        self._mask_logits = torch.compile(super().mask_logits, dynamic=True)
        self._traced: _Compiled | None = None

    def energies(self, numbers: Tensor, positions: Tensor) -> Tensor:
        """As the plain one."""
        if _awkward(numbers):
            return super().energies(numbers, positions)
        return self._energies(numbers, positions)

    def mask_logits(self, numbers: Tensor, positions: Tensor) -> Tensor:
        """As the plain one."""
        if _awkward(numbers):
            return super().mask_logits(numbers, positions)
        return self._mask_logits(numbers, positions)

    def energies_and_forces(
        self, numbers: Tensor, positions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As the plain one."""
        if _awkward(numbers):
            return super().energies_and_forces(numbers, positions)
        if self._traced is None:
            self._traced = torch.compile(trace(self.model, positions), dynamic=True)
        energies, _, forces = self._traced(*weights_of(self.model), numbers, positions)
        return energies, forces


def _awkward(numbers: Tensor) -> bool:
    return numbers.shape[0] < 2 or numbers.shape[1] < 3
