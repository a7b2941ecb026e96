"""Energy and its exact gradient: the one place where forces come from."""

import torch
from torch import Tensor

from ase_physml.graph import AtomGraph
from ase_physml.models.physml.model import Energies, PhysML


def energy_and_forces(
    model: PhysML, graph: AtomGraph, create_graph: bool = False
) -> tuple[Energies, Tensor]:
    """Interaction energies and forces -dE/dR.

    Args:
        model: The potential.
        graph: A batch; its positions need not require a gradient.
        create_graph: Keep the graph, for losses on forces.

    Returns:
        Energies in eV and forces in eV/Å of the shape of the positions.
    """
    with torch.enable_grad():
        positions = graph.positions.detach().requires_grad_()
        energies = model(graph.replace(positions=positions))
        (gradient,) = torch.autograd.grad(
            energies.molecules.sum(), positions, create_graph=create_graph
        )
    return energies, -gradient
