"""Displacements of equilibrium structures."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

# Thresholds of settling, eV/Å^2: below every real mode, and above all.
_SOFTEST, _STIFFEST = 0.1, 1000.0


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
        thermal: Largest kT of thermal noise, eV; kT is ``thermal * u**thermal_power``.
        thermal_power: Large values make small displacements frequent. A model that
            does not know a minimum better than the displacement answers them with no
            force at all, and its wells get a flat bottom.
        thermal_share: Part of the molecules displaced thermally.
        settled: Let the stiff modes of thermal displacements relax, those stiffer than
            a threshold drawn for each molecule, as the first steps of an optimizer do.
            Otherwise a model learns that nothing is displaced where no bond is.
    """

    sigma: float = 0.5
    power: float = 1.0
    thermal: float = 0.05
    thermal_power: float = 1.0
    thermal_share: float = 0.0
    settled: bool = False

    def sample(self, hessian: Tensor | None, like: Tensor, random: Generator) -> Tensor:
        """Displacements (M, N, 3) in Å.

        Args:
            hessian: (M, 3N, 3N) in eV/Å^2, positive definite; None if
                ``thermal_share`` is zero.
            like: Positions (M, N, 3), for shape, type and device.
            random: Source of randomness.
        """
        u = torch.rand(like.shape[0], generator=random).to(like)[:, None, None]
        normal = torch.randn(like.shape, generator=random).to(like)
        gaussian = self.sigma * u**self.power * normal
        if hessian is None:
            return gaussian
        kt = self.thermal * u**self.thermal_power
        thermal = kt.sqrt() * _unit_thermal(hessian, normal)
        if self.settled:
            v = torch.rand(like.shape[0], generator=random).to(like)[:, None, None]
            thermal = _low_pass(
                hessian, thermal, _SOFTEST * (_STIFFEST / _SOFTEST) ** v
            )
        chosen = torch.rand(like.shape[0], generator=random) < self.thermal_share
        return torch.where(chosen.to(like.device)[:, None, None], thermal, gaussian)


def _unit_thermal(hessian: Tensor, normal: Tensor) -> Tensor:
    """A sample of exp(-x^T H x / 2): covariance H^-1 (M, N, 3)."""
    factor = torch.linalg.cholesky(hessian)
    flat = normal.reshape(normal.shape[0], -1, 1)
    x: Tensor = torch.linalg.solve_triangular(factor.mT, flat, upper=True)
    return x.reshape(normal.shape)


def _low_pass(hessian: Tensor, shift: Tensor, threshold: Tensor) -> Tensor:
    """``c (H + c)^-1 x``: modes much stiffer than c come to rest, softer ones stay."""
    eye = torch.eye(hessian.shape[-1], dtype=shift.dtype, device=shift.device)
    flat = shift.reshape(shift.shape[0], -1, 1)
    settled: Tensor = torch.linalg.solve(hessian + threshold * eye, threshold * flat)
    return settled.reshape(shift.shape)
