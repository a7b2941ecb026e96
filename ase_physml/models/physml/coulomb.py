"""Charges of atoms that add up to zero, and what they do at a distance.

Beyond the paper, whose products beta0 beta1 of a pair are free: two neutral molecules
then attract or repel at any distance. Charges that flow along edges make every part of
a structure neutral that no edge leaves.
"""

import math

import torch
from torch import Tensor, nn

from ase_physml.graph import AtomGraph

# Charge in e that a neighbour gives at the start, per unit of electronegativity.
_START = 0.1
# Width of an atom's charge in covalent radii. Two bonded atoms keep 9/10 of their 1/d.
_WIDTH = 0.6


class AtomicCharges(nn.Module):
    """Charges from flows between neighbours: what one atom gains another loses.

    ``q_i = sum_j phi(d_ij) [s (chi_j - chi_i) + u_i . w_j - w_i . u_j]`` in e, with
    learned projections u and w of the features and Pauling's electronegativities chi,
    whose differences alone count at the start.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.flow = nn.Linear(width, 2 * max(1, width // 4), bias=False)
        self.scale = nn.Parameter(torch.tensor(_START))
        with torch.no_grad():
            self.flow.weight.mul_(0.1)

    def forward(self, graph: AtomGraph, x: Tensor, chi: Tensor, phi: Tensor) -> Tensor:
        """Charges (*A) in e.

        Args:
            graph: A batch.
            x: Features, (*A, d).
            chi: Electronegativities, (*A, 1).
            phi: Envelope of the distances, (*E).
        """
        u, w = self.flow(x).chunk(2, dim=-1)
        ones = torch.ones_like(chi)
        around = graph.senders(torch.cat([u, w, chi, ones], dim=-1))
        sums = graph.sum_edges(phi.unsqueeze(-1) * around)
        of_u, of_w, of_chi, count = sums.split([u.shape[-1], w.shape[-1], 1, 1], dim=-1)
        learned: Tensor = (u * of_w - w * of_u).sum(-1)
        taken: Tensor = self.scale * (of_chi - count * chi).squeeze(-1)
        return learned + taken


def charge_widths(radii: Tensor) -> Tensor:
    """Widths in Å of the charges of atoms with these covalent radii in Å."""
    return _WIDTH * radii


def coulomb_kernel(distance: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """1/d between two Gaussian charges, in 1/Å: 1/d where they do not overlap.

    Args:
        distance: (*P) Å, never zero.
        first: Width of one charge, (*P) Å.
        second: Width of the other, (*P) Å.
    """
    width = (2.0 * (first.square() + second.square())).sqrt()
    return torch.erf(distance / width) / distance


def screened(distance: Tensor, alpha: float) -> Tensor:
    """Part of 1/d that Ewald's sum takes over in reciprocal space, ``erf(a d)/d``."""
    return torch.erf(alpha * distance) / distance


def reciprocal_energies(
    positions: Tensor, charges: Tensor, cell: Tensor, alpha: float
) -> Tensor:
    """Energies of atoms of one cell from Ewald's reciprocal sum, in e^2/Å.

    ``E = 2 pi/V sum_k exp(-k^2/4 a^2)/k^2 |S(k)|^2 - a/sqrt(pi) sum_i q_i^2``, half of
    every interaction on each of its atoms; the structure is neutral, and what surrounds
    it a conductor.

    Args:
        positions: (N, 3) Å.
        charges: (N,) e.
        cell: Lattice vectors in rows, (3, 3) Å.
        alpha: Splitting parameter, 1/Å.

    Returns:
        (N,).
    """
    k = _reciprocal_vectors(cell, alpha)
    squared = k.square().sum(-1)
    weights = torch.exp(-squared / (4.0 * alpha**2)) / squared
    phases = positions @ k.T
    cosines, sines = phases.cos(), phases.sin()
    real, imaginary = charges @ cosines, charges @ sines
    volume = torch.linalg.det(cell).abs()
    potential = cosines @ (weights * real) + sines @ (weights * imaginary)
    alone = alpha / math.sqrt(math.pi) * charges.square()
    found: Tensor = 2.0 * math.pi / volume * charges * potential - alone
    return found


def _reciprocal_vectors(cell: Tensor, alpha: float) -> Tensor:
    """All k but zero whose terms are above 1e-9 of the largest, (K, 3) 1/Å."""
    longest = 2.0 * alpha * math.sqrt(-math.log(1e-9))
    lengths = cell.detach().norm(dim=-1)
    counts = (longest * lengths / (2.0 * math.pi)).ceil().long().tolist()
    grid = torch.cartesian_prod(
        *(torch.arange(-n, n + 1, device=cell.device) for n in counts)
    )
    grid = grid[(grid != 0).any(-1)].to(cell)
    k = 2.0 * math.pi * grid @ torch.linalg.inv(cell).T
    near = k.detach().square().sum(-1) < longest**2
    found: Tensor = k[near]
    return found
