"""Energy and its exact gradient: the one place where forces come from."""

import torch
from torch import Tensor

from ase_physml.graph import AtomGraph, PeriodicEdgeList
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


def energy_forces_and_strain(
    model: PhysML, graph: PeriodicEdgeList, create_graph: bool = False
) -> tuple[Energies, Tensor, Tensor]:
    """The same, and the gradient dE/de of a homogeneous strain e of each structure.

    A strain takes every r to r + r e, be it an atom or a lattice vector a, so that
    ``dE/de = sum_i r_i (x) dE/dr_i + sum_k a_k (x) dE/da_k``: what the forces need
    already, and a gradient in nine numbers more. Over the volume it is the stress.

    Args:
        model: The potential.
        graph: A batch; nothing in it need require a gradient.
        create_graph: Keep the graph, for losses on forces and stress.

    Returns:
        Energies in eV, forces (A, 3) in eV/Å, and dE/de (M, 3, 3) in eV, symmetric
        because turning a structure changes no energy; a molecule's has no use.
    """
    with torch.enable_grad():
        positions = graph.positions.detach().requires_grad_()
        cell = graph.cell.detach().requires_grad_()
        energies = model(graph.replace(positions=positions, cell=cell))
        by_atom, by_cell = torch.autograd.grad(
            energies.molecules.sum(), (positions, cell), create_graph=create_graph
        )
    of_atoms = graph.positions.detach().unsqueeze(-1) * by_atom.unsqueeze(-2)
    by_strain = graph.sum_atoms(of_atoms.flatten(1)).unflatten(-1, (3, 3))
    by_strain = by_strain + graph.cell.detach().mT @ by_cell
    return energies, -by_atom, by_strain
