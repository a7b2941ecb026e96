"""Energy and forces as one graph of plain operations, for a compiler to fuse.

The gradient that gives the forces is recorded together with the energy, so that what
is left of it are operations like any others: no second walk through autograd, and in
training an ordinary first backward pass for the losses.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.func import functional_call

from ase_physml.graph import AllPairs
from ase_physml.models.physml.model import PhysML

Weights = tuple[dict[str, Tensor], dict[str, Tensor]]


def weights_of(model: PhysML) -> Weights:
    """Parameters and buffers, which the traced graph takes as its first arguments."""
    return dict(model.named_parameters()), dict(model.named_buffers())


def trace(model: PhysML, like: Tensor) -> torch.fx.GraphModule:
    """Record energies and forces of a batch of molecules of equal size.

    Args:
        model: The potential; its weights stay arguments.
        like: A tensor of the dtype and on the device of the positions to come.

    Returns:
        ``f(parameters, buffers, numbers (M, N), positions (M, N, 3))``, giving energies
        of molecules (M,) and of atoms (M, N) in eV and forces (M, N, 3) in eV/Å, for
        any M and N, differentiable in the weights.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    def energies_and_forces(
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        numbers: Tensor,
        positions: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        positions = positions.detach().requires_grad_()
        graph = AllPairs(numbers, positions)
        found = functional_call(model, (parameters, buffers), (graph,))
        (gradient,) = torch.autograd.grad(
            found.molecules.sum(), positions, create_graph=True
        )
        return found.molecules, found.atoms, -gradient

    # Equal sizes are taken for one symbol: trace with two that no weight has.
    taken = {n for p in model.parameters() for n in p.shape}
    sizes = [n for n in range(11, 2000) if n not in taken][:2]
    numbers = torch.full(sizes, model.config.elements[0], device=like.device)
    positions = like.new_zeros((*sizes, 3)).normal_()
    with torch.enable_grad():
        record = make_fx(energies_and_forces, tracing_mode="symbolic")
        graph: torch.fx.GraphModule = record(*weights_of(model), numbers, positions)
    _let_gradients_through(graph)
    return graph


class CompiledForces:
    """Energies and forces of molecules of equal size, as compiled kernels.

    The first call compiles for batches of any number of molecules of any size; the
    first with a single molecule once more. Weights are constants: no gradient reaches
    them.
    """

    def __init__(self, model: PhysML) -> None:
        self._weights = weights_of(model)
        like = model.element_bias
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
                *self._weights, graph.numbers, graph.positions
            )
        return found


@lru_cache(maxsize=16)
def compiled_forces(model: PhysML) -> CompiledForces:
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
