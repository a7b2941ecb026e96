"""Energy and forces as one graph of plain operations, for a compiler to fuse.

The gradient that gives the forces is recorded together with the energy, so that what
is left of it are operations like any others: no second walk through autograd, and in
training an ordinary first backward pass for the losses.
"""

from dataclasses import fields
from functools import lru_cache

import torch
from torch import Tensor
from torch.func import functional_call

from ase_physml.graph import AllPairs, AtomGraph, PeriodicEdgeList
from ase_physml.models.energy_model import EnergyModel

Weights = tuple[dict[str, Tensor], dict[str, Tensor]]
Parts = dict[str, Tensor]
"""Tensors of a graph, by the names of its fields."""


def weights_of(model: EnergyModel) -> Weights:
    """Parameters and buffers, which the traced graph takes as its first arguments."""
    return dict(model.named_parameters()), dict(model.named_buffers())


def parts_of(graph: AtomGraph) -> Parts:
    """Tensors of a graph, as a traced function takes them."""
    values = {f.name: getattr(graph, f.name) for f in fields(graph)}
    return {name: value for name, value in values.items() if value is not None}


def trace(
    model: EnergyModel, like: Tensor, kind: type[AllPairs | PeriodicEdgeList] = AllPairs
) -> torch.fx.GraphModule:
    """Record energies and forces of a batch of molecules of equal size, or of cells.

    Args:
        model: The potential; its weights stay arguments.
        like: A tensor of the dtype and on the device of the positions to come.
        kind: Layout of the graphs.

    Returns:
        ``f(parameters, buffers, parts)`` with the parts of a graph, giving energies of
        molecules (M,) and atoms (*A) in eV, forces (*A, 3) in eV/Å and, if the model
        has them, charges (*A) in e, differentiable in the weights; for graphs of any
        size whose `pair_parts` are one.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    def energies_and_forces(
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        parts: Parts,
    ) -> tuple[Tensor, ...]:
        positions = parts["positions"].detach().requires_grad_()
        graph = kind(**{**parts, "positions": positions})
        found = functional_call(model, (parameters, buffers), (graph,))
        (gradient,) = torch.autograd.grad(
            found.molecules.sum(), positions, create_graph=True
        )
        if found.charges is None:
            return found.molecules, found.atoms, -gradient
        return found.molecules, found.atoms, -gradient, found.charges

    # Equal sizes are taken for one symbol: trace with some that no weight has.
    taken = {n for p in model.parameters() for n in p.shape}
    sizes = [n for n in range(11, 2000) if n not in taken]
    example = _example_of(kind, sizes, model.config.elements[0], like)
    with torch.enable_grad():
        record = make_fx(energies_and_forces, tracing_mode="symbolic")
        graph: torch.fx.GraphModule = record(*weights_of(model), example)
    _let_gradients_through(graph)
    return graph


def _example_of(
    kind: type[AllPairs | PeriodicEdgeList],
    sizes: list[int],
    element: int,
    like: Tensor,
) -> Parts:
    """Parts of the right shapes, of which no two sizes are equal."""

    def whole(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.long, device=like.device)

    def real(*shape: int) -> Tensor:
        return like.new_zeros(shape).normal_()

    m, n, e, p = sizes[:4]
    if kind is AllPairs:
        return {"numbers": whole(m, n) + element, "positions": real(m, n, 3)}
    return {
        "numbers": whole(n) + element,
        "positions": real(n, 3),
        "molecule": whole(n),
        "counts": whole(m),
        "edges": whole(2, e),
        "pairs": whole(2, p),
        "cell": real(m, 3, 3),
        "edge_shifts": real(e, 3),
        "pair_shifts": real(p, 3),
    }


class CompiledForces:
    """Energies and forces of molecules of equal size, as compiled kernels.

    The first call compiles for batches of any number of molecules of any size; the
    first with a single molecule once more. Weights are constants: no gradient reaches
    them.
    """

    def __init__(self, model: EnergyModel) -> None:
        self._weights = weights_of(model)
        like = next(model.parameters())
        # Kernels called from C++: a tenth faster for small molecules.
        self._compiled = torch.compile(
            trace(model, like),
            dynamic=True,
            options={"cpp_wrapper": like.device.type == "cpu"},
        )

    def __call__(self, graph: AllPairs) -> tuple[Tensor, Tensor, Tensor]:
        """Energies of molecules (M,) and atoms (M, N), eV; forces (M, N, 3), eV/Å."""
        with torch.no_grad():
            found: tuple[Tensor, Tensor, Tensor] = self._compiled(
                *self._weights, parts_of(graph)
            )
        return found


@lru_cache(maxsize=16)
def compiled_forces(model: EnergyModel) -> CompiledForces:
    """Calculators that share a model share what was compiled for it."""
    return CompiledForces(model)


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
