"""Displaced structures, and where their gradient should point."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Noise:
    """Gaussian displacement of every coordinate, one amplitude per molecule.

    The paper says "small Gaussian noise with an amplitude of 0.5 Å". Here the standard
    deviation is ``sigma * u**power`` with u uniform in (0, 1): a single large one says
    nothing about the curvature near the minimum. ``power=0`` is the paper's reading.

    Such noise is nearly all bond stretch, and what an optimizer sees after its first
    steps is nearly all torsion. With ``settle`` each molecule then walks 0 to ``settle``
    steps downhill on the harmonic network below, which undoes stiff displacements and
    leaves soft ones (not in the paper).
    """

    sigma: float = 0.5
    power: float = 1.0
    settle: int = 0

    def sample(
        self, positions: Tensor, radii: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """Displacements (M, N, 3), and the deviation (M,) they were drawn with, in Å.

        Args:
            positions: Equilibrium structures (M, N, 3).
            radii: Covalent radii (M, N) in Å.
            generator: Source of randomness.
        """
        uniform = torch.rand(positions.shape[0], generator=generator)
        deviation = (self.sigma * uniform**self.power).to(positions)
        normal = torch.randn(positions.shape, generator=generator).to(positions)
        shift = deviation[:, None, None] * normal
        if self.settle:
            steps = torch.randint(self.settle + 1, uniform.shape, generator=generator)
            moved = settle(
                positions + shift, positions, radii, steps.to(positions.device)
            )
            shift = moved - positions
        return shift, deviation


# Springs between all atoms. Bonds follow Badger's rule: stiffness grows as the sixth
# power of how much shorter than a single bond they are (30 eV/Å^2 for C-C and C-H,
# 80 for C=O, 120 for C#N). Other pairs hold angles and, weakly, torsions; 4.6 eV/Å^2
# at the H..H distance of a methyl group gives its bending constant of 3.4 eV/rad^2.
_BOND_STIFFNESS, _BADGER = 30.0, 6
_BONDED = 1.35
_OTHER_STIFFNESS, _REACH = 6.0, 2.4


def spring_constants(distance: Tensor, radii: Tensor) -> Tensor:
    """Stiffness in eV/Å^2 of the spring between each two atoms at equilibrium.

    Args:
        distance: Equilibrium distances (M, N, N) in Å; the diagonal is ignored.
        radii: Covalent radii (M, N) in Å.
    """
    n = distance.shape[-1]
    eye = torch.eye(n, dtype=distance.dtype, device=distance.device)
    single = radii.unsqueeze(2) + radii.unsqueeze(1)
    ratio = (distance + eye) / single
    bond = _BOND_STIFFNESS * ratio.clamp(min=0.6) ** -_BADGER
    other = _OTHER_STIFFNESS * torch.exp(-((distance / _REACH) ** 4))
    return torch.where(ratio < _BONDED, bond, other) * (1 - eye)


# The stiffest mode, a C#N stretch, has a curvature of about 250 eV/Å^2.
_SETTLE_RATE = 1.0 / 250.0


def settle(
    positions: Tensor, equilibrium: Tensor, radii: Tensor, steps: Tensor
) -> Tensor:
    """Walk displaced structures some steps of steepest descent towards equilibrium.

    Args:
        positions: (M, N, 3) Å.
        equilibrium: (M, N, 3) Å.
        radii: Covalent radii (M, N) in Å.
        steps: Steps of each molecule, int (M,).
    """
    for step in range(int(steps.max())):
        _, forces = spring_energy_and_forces(positions, equilibrium, radii)
        # A bond thrown far apart would be flung across the molecule.
        move = (_SETTLE_RATE * forces).clamp(-0.1, 0.1)
        positions = positions + move * (step < steps)[:, None, None]
    return positions


def spring_energy_and_forces(
    positions: Tensor, equilibrium: Tensor, radii: Tensor
) -> tuple[Tensor, Tensor]:
    """A harmonic network that has its minimum at ``equilibrium``.

    ``U = sum_{i<j} k_ij/2 (d_ij - d0_ij)^2``: unlike ``k |R - R0|^2`` it stays the same
    when the whole molecule moves or turns, so an invariant model can learn it.

    Args:
        positions: Displaced structures (M, N, 3) in Å.
        equilibrium: Where they came from, (M, N, 3) in Å.
        radii: Covalent radii (M, N) in Å.

    Returns:
        Energies (M,) in eV and forces (M, N, 3) in eV/Å.
    """
    vectors = positions.unsqueeze(1) - positions.unsqueeze(2)
    distance = vectors.norm(dim=-1)
    relaxed = (equilibrium.unsqueeze(1) - equilibrium.unsqueeze(2)).norm(dim=-1)
    stiffness = spring_constants(relaxed, radii)
    stretch = distance - relaxed
    energy = 0.25 * (stiffness * stretch.square()).sum((1, 2))
    pull = stiffness * stretch / distance.clamp(min=0.1)
    forces = (pull.unsqueeze(-1) * vectors).sum(2)
    return energy, forces
