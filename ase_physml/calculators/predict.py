"""What one member of a committee says of a batch: totals in NumPy float64."""

from torch import Tensor

from ase_physml.calculators.spread import Array, Prediction
from ase_physml.graph import AllPairs, AtomGraph, PeriodicEdgeList
from ase_physml.models.physml.forces import energy_and_forces, energy_forces_and_strain
from ase_physml.models.physml.model import PhysML
from ase_physml.models.physml.traced import compiled_forces


def predict(member: PhysML, graph: AtomGraph, compiled: bool) -> Prediction:
    """Energies and forces.

    Args:
        member: The potential.
        graph: A batch.
        compiled: By compiled kernels, where the layout of the graph has them.
    """
    # Sizes of 0 and 1 are never symbolic: each would be compiled for on its own.
    if compiled and isinstance(graph, AllPairs) and graph.numbers.shape[1] > 2:
        return _totals(member, graph, *compiled_forces(member)(graph))
    energies, forces = energy_and_forces(member, graph)
    return _totals(member, graph, energies.molecules, energies.atoms, forces)


def predict_cells(member: PhysML, graph: PeriodicEdgeList) -> tuple[Prediction, Array]:
    """Energies and forces, and the gradients of energies by strain, (M, 3, 3) eV."""
    energies, forces, by_strain = energy_forces_and_strain(member, graph)
    said = _totals(member, graph, energies.molecules, energies.atoms, forces)
    return said, by_strain.double().cpu().numpy()


def _totals(
    member: PhysML,
    graph: AtomGraph,
    molecules: Tensor,
    per_atom: Tensor,
    forces: Tensor,
) -> Prediction:
    """Interaction energies and the references of their elements."""
    reference = member.reference_energy(graph.numbers)
    flat = graph.replace(positions=graph.positions.double())
    total = molecules.detach().double()
    total = total + flat.sum_atoms(reference.unsqueeze(-1)).squeeze(-1)
    return Prediction(
        total.cpu().numpy(),
        (per_atom.detach().double() + reference).flatten().cpu().numpy(),
        forces.double().reshape(-1, 3).cpu().numpy(),
    )
