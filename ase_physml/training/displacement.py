"""Displacements of equilibrium structures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor

from ase_physml.training.distributed import Draws
from ase_physml.training.valence import ValenceField, hold
from ase_physml.typed import Range

if TYPE_CHECKING:
    from ase_physml.training.batches import Batch

Size = Annotated[float, Range(at_least=0.0)]
Share = Annotated[float, Range(at_least=0.0, at_most=1.0)]
Steps = Annotated[int, Range(at_least=0)]

# eV/Å^2; above every real mode.
_STIFFEST = 1000.0
# eV/Å^2; softer modes are followed as if they were as stiff as this.
_SOFTEST = 0.5
# Shares of batches are told apart to a thousandth.
_FINE = 1000


@dataclass(frozen=True)
class Displaced:
    """Displaced copies of the first molecules of a batch.

    Attributes:
        shift: Displacements (M, N, 3), Å.
        pull: Forces of the generic force field there, (M, N, 3) eV/Å.
        hessian: Second derivatives of that force field at rest, (M, 3N, 3N) eV/Å^2.
        near: Displaced by less than the reach of denoising, (M,).
    """

    shift: Tensor
    pull: Tensor
    hessian: Tensor
    near: Tensor


def displace(
    at_rest: "Batch",
    noise: "Noise",
    random: Draws,
    radii: Tensor,
    forces: Callable[[Tensor], Tensor],
) -> Displaced:
    """Displaced copies of minima; atoms that are held stay where they are.

    Args:
        at_rest: Minima.
        noise: Distribution of displacements.
        random: Random numbers for these molecules.
        radii: Covalent radii (M, N), Å.
        forces: Function of displacements (M, N, 3) in Å to the model's forces there,
            in eV/Å, which displacements may follow.
    """
    positions, fixed = at_rest.positions, at_rest.fixed
    field = ValenceField(positions, at_rest.numbers, radii, at_rest.cell, at_rest.pbc)
    hessian = field.hessian()
    if fixed is not None:
        hessian = hold(hessian, fixed)
    thermal = hessian if noise.thermal_share else None
    shift = noise.sample(positions, random, thermal, field.bonds)
    if noise.relaxed:
        shift = relax_stiff(shift, positions, field, hessian, noise.relaxed, random)
    if fixed is not None:
        shift = shift.masked_fill(fixed.unsqueeze(-1), 0.0)
    if noise.followed:
        shift = follow(shift, forces, hessian, noise.steps_to_follow(random))
    _, pull = field.energies_and_forces(positions + shift)
    near = shift.square().mean((1, 2)) < noise.reach**2
    return Displaced(shift, pull, hessian, near)


@dataclass(frozen=True)
class Noise:
    """Gaussian or thermal displacement, with an amplitude drawn for each molecule.

    The paper says "small Gaussian noise with an amplitude of 0.5 Å". Here the standard
    deviation is ``sigma * u**power`` with u uniform in (0, 1): a single large one says
    nothing about the curvature near the minimum. ``power=0`` is the paper's reading.

    Such noise is nearly all bond stretch, and what an optimizer meets after its first
    steps is nearly all torsion. A part of the molecules is therefore displaced as a
    thermal ensemble would be, every mode by the same energy (not in the paper).

    Attributes:
        sigma: Largest standard deviation of Gaussian noise, Å.
        power: See above; 0 always takes the largest.
        thermal: Largest kT of thermal noise, eV; kT is ``thermal * u``. Were small
            displacements more frequent, a model that does not know a minimum better
            than those would answer them with no force at all: flat bottoms.
        thermal_share: Part of the molecules displaced thermally.
        stretch: Largest elongation of the bond that is pulled, Å; see `pulled_share`.
        pulled_share: Part of the thermally displaced molecules in which a bond drawn at
            random is pulled as well, the rest following as far as it has to: the way in
            which strained rings open on a surface that has no wall there.
        reach: Only molecules displaced by less are denoised, Å (root mean square).
        relaxed: Steps towards the minimum that all displacements then take in the
            force field, in modes stiffer than a threshold drawn for each molecule, as
            the first steps of an optimizer do. Otherwise a model learns that nothing is
            displaced where no bond is; and a large turn along a straight line stretches
            bonds.
        followed: Most steps that they then take in the model itself: to where its own
            relaxations go astray, which no noise of a reasonable size finds.
        followed_share: Part of the batches that take such steps. They lead out of what
            was pulled far: those who take them all forget what broken molecules do.
    """

    sigma: Size = 0.5
    power: Size = 1.0
    thermal: Size = 0.05
    thermal_share: Share = 0.0
    reach: Size = 0.3
    stretch: Size = 0.6
    pulled_share: Share = 0.0
    relaxed: Steps = 0
    followed: Steps = 0
    followed_share: Share = 1.0

    def sample(
        self,
        like: Tensor,
        random: Draws,
        hessian: Tensor | None = None,
        bonds: Tensor | None = None,
    ) -> Tensor:
        """Displacements (M, N, 3) in Å.

        Args:
            like: Positions (M, N, 3).
            random: Random numbers for these molecules.
            hessian: Second derivatives (M, 3N, 3N) in eV/Å^2, positive definite; needed
                by thermal noise.
            bonds: Flat indices of bonded atoms (B, 2); needed by pulling.
        """
        u = random.uniform().to(like)[:, None, None]
        normal = random.normal(*like.shape[1:]).to(like)
        gaussian = self.sigma * u**self.power * normal
        if hessian is None:
            return gaussian
        thermal = (self.thermal * u).sqrt() * _unit_thermal(hessian, normal)
        if self.pulled_share and bonds is not None:
            v = random.uniform(2).to(like)
            # From a third of that much shorter to that much longer.
            elongation = self.stretch * (4.0 * v[:, 0] - 1.0) / 3.0
            elongation = elongation * (v[:, 1] < self.pulled_share)
            thermal = thermal + _pull(like, hessian, bonds, elongation, random)
        chosen = random.uniform() < self.thermal_share
        return torch.where(chosen.to(like.device)[:, None, None], thermal, gaussian)

    def steps_to_follow(self, random: Draws) -> int:
        """Number of steps that a batch takes in the model, 0 to `followed`."""
        # Not drawn for a share of one: recipes of before repeat what they did.
        if (
            self.followed_share < 1.0
            and random.same(_FINE) >= self.followed_share * _FINE
        ):
            return 0
        return random.same(self.followed + 1)


def relax_stiff(
    shift: Tensor,
    at_rest: Tensor,
    field: ValenceField,
    hessian: Tensor,
    steps: int,
    random: Draws,
) -> Tensor:
    """Displacements after damped Newton steps ``x + (H + c)^-1 F(x)``.

    Modes much stiffer than c, which is drawn for each molecule, come to rest; softer
    ones hardly move.

    Args:
        shift: Displacements (M, N, 3) Å.
        at_rest: Positions (M, N, 3) Å.
        field: Force field.
        hessian: Its second derivatives at rest, (M, 3N, 3N) eV/Å^2.
        steps: Number of steps.
        random: Random numbers for these molecules.
    """
    v = random.uniform().to(shift)[:, None, None]

    def forces(shift: Tensor) -> Tensor:
        return field.energies_and_forces(at_rest + shift)[1]

    return _descend(
        shift, forces, hessian + _times_one(_STIFFEST**v, hessian), steps, 0.1
    )


def follow(
    shift: Tensor, forces: Callable[[Tensor], Tensor], hessian: Tensor, steps: int
) -> Tensor:
    """Displacements after Newton steps on a surface that is not quite the Hessian's.

    Args:
        shift: Displacements (M, N, 3) Å.
        forces: Function of displacements to the model's forces, (M, N, 3) eV/Å.
        hessian: Second derivatives of the force field at rest, (M, 3N, 3N) eV/Å^2.
        steps: Number of steps, of 0.2 Å along each axis at most.
    """
    return _descend(shift, forces, hessian + _times_one(_SOFTEST, hessian), steps, 0.2)


def _descend(
    shift: Tensor,
    forces: Callable[[Tensor], Tensor],
    hessian: Tensor,
    steps: int,
    longest: float,
) -> Tensor:
    """Displacements after steps ``H^-1 F(x)``, of which no coordinate is longer."""
    inverse = torch.linalg.inv(hessian)
    for _ in range(steps):
        move = inverse @ forces(shift).flatten(1).unsqueeze(2)
        shift = shift + move.reshape(shift.shape).clamp(-longest, longest)
    return shift


def _times_one(factor: Tensor | float, like: Tensor) -> Tensor:
    return factor * torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)


def _unit_thermal(hessian: Tensor, normal: Tensor) -> Tensor:
    """A sample of exp(-x^T H x / 2): covariance H^-1 (M, N, 3)."""
    factor = torch.linalg.cholesky(hessian)
    flat = normal.reshape(normal.shape[0], -1, 1)
    x: Tensor = torch.linalg.solve_triangular(factor.mT, flat, upper=True)
    return x.reshape(normal.shape)


def _pull(
    like: Tensor, hessian: Tensor, bonds: Tensor, elongation: Tensor, random: Draws
) -> Tensor:
    """Displacement by a force along a random bond that makes it so much longer.

    Args:
        like: Positions (M, N, 3) Å.
        hessian: Second derivatives (M, 3N, 3N), eV/Å^2.
        bonds: Flat indices of bonded atoms (B, 2).
        elongation: Elongation of the bond, (M,) Å.
        random: Random numbers for these molecules.
    """
    m, n, _ = like.shape
    owner = bonds[:, 0] // n
    # For all pairs, since how many bonds other processes have is not known here.
    ticket = random.uniform(n, n).to(like)[owner, bonds[:, 0] % n, bonds[:, 1] % n]
    highest = ticket.new_zeros(m).scatter_reduce(0, owner, ticket, "amax")
    drawn = bonds[ticket == highest[owner]]
    flat = like.reshape(-1, 3)
    along = flat[drawn[:, 0]] - flat[drawn[:, 1]]
    along = along / along.norm(dim=1, keepdim=True)
    force = torch.zeros_like(flat).index_add(0, drawn[:, 0], along)
    force = force.index_add(0, drawn[:, 1], -along).reshape(m, 3 * n, 1)
    shift = torch.linalg.solve(hessian, force)
    # Its own work on the bond: by how much a unit force lengthens it.
    unit = (shift * force).sum((1, 2)).clamp(min=1e-6)
    scaled: Tensor = shift * (elongation / unit)[:, None, None]
    return scaled.reshape(like.shape)
