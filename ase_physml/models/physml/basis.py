"""Distances as features: cosine envelope and learnable radial basis (Eqs 2 and 3)."""

import math

import torch
from torch import Tensor, nn

from ase_physml.models.gaussian import gaussian


def envelope(distance: Tensor, cutoff: float) -> Tensor:
    """Cosine envelope phi (Eq 3): 1 at zero, 0 with zero slope from ``cutoff`` on."""
    inside = 0.5 * (torch.cos(distance * (math.pi / cutoff)) + 1.0)
    return inside * (distance < cutoff)


class RadialBasis(nn.Module):
    """Exponential-normal basis whose centres and widths are learned per element.

    ``psi_ijk = phi(d_ij) exp(-beta_{z_i,k} (exp(-alpha d_ij) - mu_{z_i,k})^2)`` (Eq 2),
    with alpha = 1 as in the paper. One row of the tables belongs to [MASK].

    Args:
        n_species: Rows of the tables, [MASK] included.
        n_basis: Functions per element.
        cutoff: Å.
        alpha: Decay of the inner exponential in 1/Å.
    """

    def __init__(
        self, n_species: int, n_basis: int, cutoff: float, alpha: float
    ) -> None:
        super().__init__()
        self.alpha = alpha
        last = math.exp(-alpha * cutoff)
        centres = torch.linspace(last, 1.0, n_basis)
        width = (2.0 / n_basis * (1.0 - last)) ** -2
        self.centres = nn.Parameter(centres.repeat(n_species, 1))
        # The logarithm keeps beta positive whatever the optimizer does.
        self.log_widths = nn.Parameter(
            torch.full((n_species, n_basis), math.log(width))
        )

    def forward(
        self, distance: Tensor, phi: Tensor, mu: Tensor, log_beta: Tensor
    ) -> Tensor:
        """Expand distances (*E) with per-edge rows of the tables: (*E, n_basis)."""
        decay = torch.exp(-self.alpha * distance).unsqueeze(-1)
        exponent = log_beta.exp() * (decay - mu).square()
        return phi.unsqueeze(-1) * gaussian(exponent)
