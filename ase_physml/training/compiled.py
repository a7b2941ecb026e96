"""Energies and forces as compiled graphs, for training.

The gradient that gives the forces is traced together with the energy, so that the
compiler fuses both and only an ordinary first backward pass is left for the loss.
Shapes are symbolic: one compilation (about a minute) serves every batch.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from ase_physml.graph import AllPairs
from ase_physml.models.physml.forces import energy_and_forces
from ase_physml.models.physml.model import PhysML

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
            self._traced = self._trace(positions)
        energies, forces = self._traced(*self._weights(), numbers, positions)
        return energies, forces

    def _weights(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        parameters, buffers = self.model.named_parameters(), self.model.named_buffers()
        return dict(parameters), dict(buffers)

    def _trace(self, like: Tensor) -> _Compiled:
        from torch.fx.experimental.proxy_tensor import make_fx

        def energy_and_gradient(
            parameters: dict[str, Tensor],
            buffers: dict[str, Tensor],
            numbers: Tensor,
            positions: Tensor,
        ) -> tuple[Tensor, Tensor]:
            positions = positions.detach().requires_grad_()
            graph = AllPairs(numbers, positions)
            weights = (parameters, buffers)
            energies = functional_call(self.model, weights, (graph,)).molecules
            (gradient,) = torch.autograd.grad(
                energies.sum(), positions, create_graph=True
            )
            return energies, -gradient

        # Equal sizes are taken for one symbol: trace with two that no weight has.
        taken = {n for p in self.model.parameters() for n in p.shape}
        sizes = [n for n in range(11, 2000) if n not in taken][:2]
        numbers = torch.full(sizes, self.model.config.elements[0], device=like.device)
        positions = like.new_zeros((*sizes, 3)).normal_()
        tracing = make_fx(energy_and_gradient, tracing_mode="symbolic")
        graph = tracing(*self._weights(), numbers, positions)
        _let_gradients_through(graph)
        traced: _Compiled = torch.compile(graph, dynamic=True)
        return traced


def _let_gradients_through(graph: torch.fx.GraphModule) -> None:
    """Drop the detachments that tracing a gradient leaves behind.

    Results that a backward formula saves (of exp, sigmoid, ...) are recorded detached;
    the gradient of the forces with respect to the weights would lose those paths.
    """
    for node in graph.graph.nodes:
        if node.target is torch.ops.aten.detach.default:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.recompile()


def _awkward(numbers: Tensor) -> bool:
    return numbers.shape[0] < 2 or numbers.shape[1] < 3
