"""Models of the energy of atoms: what they share, and where forces come from."""

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn

from ase_physml.errors import PotentialError
from ase_physml.graph import AtomGraph, PeriodicEdgeList
from ase_physml.models.architecture import ModelConfig
from ase_physml.typed import Range

MAX_ATOMIC_NUMBER = 96


class Energies(NamedTuple):
    """Interaction energies in eV, without the per-element reference.

    Attributes:
        molecules: Energies of molecules, (M,).
        atoms: Energies of atoms, (*A); they sum to the molecule's energy, terms of
            whole molecules apart.
        pairs: Energies of pairs, (*P), or None without pair terms.
        charges: Charges of atoms in e, (*A), or None of a model without them.
    """

    molecules: Tensor
    atoms: Tensor
    pairs: Tensor | None = None
    charges: Tensor | None = None


@dataclass(frozen=True)
class EnergyConfig(ModelConfig):
    """Base of the configurations of energy models.

    Attributes:
        elements: Atomic numbers that the model knows, ascending.
        cutoff: Distance in Å up to which atoms are neighbours.
        pair_cutoff: Distance in Å up to which pairs carry an energy of their own, not
            below ``cutoff``; None for any distance.
    """

    elements: tuple[int, ...] = (1, 6, 7, 8)
    cutoff: Annotated[float, Range(above=0.0, at_most=1_000.0)] = 5.0
    pair_cutoff: float | None = 20.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "elements", tuple(sorted(set(self.elements))))
        if not self.elements:
            raise PotentialError(
                f"a {self.model_name} model needs at least one element"
            )
        if not 1 <= self.elements[0] <= self.elements[-1] <= MAX_ATOMIC_NUMBER:
            raise PotentialError(
                f"elements must be atomic numbers 1..{MAX_ATOMIC_NUMBER}, "
                f"got {self.elements}"
            )
        if self.pair_cutoff is not None and self.pair_cutoff < self.cutoff:
            raise PotentialError(
                f"pair_cutoff={self.pair_cutoff} Å is below the cutoff of attention, "
                f"{self.cutoff} Å"
            )

    @property
    def reach(self) -> float | None:
        """Distance in Å up to which atoms interact; None for any."""
        return self.pair_cutoff

    @property
    def has_charges(self) -> bool:
        """Atoms have charges, and structures dipoles."""
        return False

    @property
    def reads_whole(self) -> bool:
        """Every atom counts for every other, however far they are from each other."""
        return False

    @property
    def not_extensive(self) -> str:
        """Reason why energies do not add up over the cells of a crystal, or ""."""
        return ""


class EnergyModel(nn.Module):
    """Base of models that give the energy of a graph of atoms.

    A model implements `forward`; totals are its interaction energies plus fixed
    energies E0 of the elements. These are kept apart, in float64: totals near -10^4 eV
    do not fit float32.
    """

    self_energies: Tensor
    species_of: Tensor

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        elements = config.elements
        species = torch.full((MAX_ATOMIC_NUMBER + 1,), -1, dtype=torch.long)
        species[list(elements)] = torch.arange(len(elements))
        species[0] = len(elements)  # the last row is of masked atoms
        self.register_buffer("species_of", species, persistent=False)
        zeros = torch.zeros(len(elements) + 1, dtype=torch.float64)
        self.register_buffer("self_energies", zeros)

    def forward(self, graph: AtomGraph) -> Energies:
        """Interaction energies of a batch; total = this + `reference_energy`."""
        raise NotImplementedError

    def mask_logits(self, graph: AtomGraph) -> Tensor:
        """Scores (*A, C) of z = 1..C for each atom; masked atoms have number 0.

        Raises:
            PotentialError: The model has no head for them.
        """
        raise PotentialError("this model has no head for masked atoms")

    def reference_energy(self, numbers: Tensor) -> Tensor:
        """Fixed self-energies E0 in eV, float64, of the shape of ``numbers``."""
        return self.self_energies[self.species_of[numbers]]


def energy_and_forces(
    model: EnergyModel, graph: AtomGraph, create_graph: bool = False
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
    model: EnergyModel, graph: PeriodicEdgeList, create_graph: bool = False
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
