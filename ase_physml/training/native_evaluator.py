"""Energies and forces by native code, for training: nothing to compile, no torch graph.

Weights and tables of the model are made by torch at each step, so that gradients go on
from them to the parameters; see `native.gradients` for what is between.
"""

import torch
from torch import Tensor

from ase_physml.graph import AtomGraph, EdgeList, PeriodicEdgeList
from ase_physml.models.physml.model import PhysML
from ase_physml.native.curves import curves_of, nodes_of
from ase_physml.native.evaluator import structure_of
from ase_physml.native.gradients import Evaluation, Learning, Molecules
from ase_physml.native.weights import weights_of
from ase_physml.training.compiled import Evaluator

# Tables of a model in training: their error is a millionth of the forces.
FINENESS, FEWEST = 6.0, 64
# Of hidden features, beyond which exponentials end.
_LARGEST = {torch.float32: 80.0, torch.float64: 600.0}


class NativeEvaluator(Evaluator):
    """Evaluator by native code where it can: molecules, by models that it knows."""

    model: PhysML

    def __init__(self, model: PhysML) -> None:
        super().__init__(model)
        self._seen: list[Tensor] = []
        self._made: Learning | None = None

    def energies(self, graph: AtomGraph) -> Tensor:
        """Interaction energies (M,), eV."""
        found = self._evaluate(graph)
        return super().energies(graph) if found is None else found[0]

    def with_charges(self, graph: AtomGraph) -> tuple[Tensor, Tensor, Tensor | None]:
        """Energies, forces and, if the model has them, charges (*A), e."""
        found = self._evaluate(graph)
        return super().with_charges(graph) if found is None else found

    def _evaluate(
        self, graph: AtomGraph
    ) -> tuple[Tensor, Tensor, Tensor | None] | None:
        """Energies, forces and charges; None of cells, and where numbers end."""
        elsewhere = graph.positions.device.type != "cpu"
        if isinstance(graph, PeriodicEdgeList) or graph.bonded is not None or elsewhere:
            return None
        learning = self._learning()
        found = Evaluation.apply(
            learning.weights, learning.curves, learning.model, self._molecules(graph)
        )
        energies, forces, charges, largest = found
        if not float(largest) < _LARGEST[learning.weights.dtype]:
            return None
        dtype, shape = graph.positions.dtype, graph.positions.shape
        energies, forces = energies.to(dtype), forces.to(dtype).reshape(shape)
        if not self.model.config.has_charges:
            return energies, forces, None
        return energies, forces, charges.to(dtype).reshape(shape[:-1])

    def _molecules(self, graph: AtomGraph) -> Molecules:
        if isinstance(graph, EdgeList):
            counts = graph.counts
        else:
            counts = torch.full(graph.numbers.shape[:1], graph.numbers.shape[1])
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        species = self.model.species_of[graph.numbers.flatten()].contiguous()
        positions = graph.positions.detach().reshape(-1, 3).double().contiguous()
        return Molecules(species, starts, positions)

    def _learning(self) -> Learning:
        """Weights and tables, the same until a gradient is taken or weights change."""
        made, weights = self._made, list(self.model.parameters())
        # By their numbers: fused optimisers and averages leave versions as they are.
        same = made is not None and all(map(torch.equal, weights, self._seen))
        if made is None or not same or torch.is_grad_enabled() > made.can_learn:
            made = self._make()
            self._made, self._seen = made, [w.detach().clone() for w in weights]
            if made.can_learn:
                made.weights.register_hook(self._forget)
        return made

    def _make(self) -> Learning:
        model = self.model
        nodes = nodes_of(model, FINENESS, FEWEST)
        dtype = model.element_bias.dtype
        kinds = torch.arange(len(model.config.elements))
        curves = curves_of(model, kinds, nodes, dtype)
        weights = weights_of(model).to(dtype)
        return Learning(structure_of(model, nodes), weights, curves)

    def _forget(self, _: Tensor) -> None:
        # A second gradient has to have a graph of its own.
        self._made = None
