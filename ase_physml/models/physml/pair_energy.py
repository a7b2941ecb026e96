"""Physics-driven pair energy: Coulomb + generalised Lennard-Jones (Eqs 5 and 6).

``E_ij = -beta1 beta0 / d + beta2 [(beta4/d)^(2 beta3) - 2 (beta4/d)^beta3]``

The five betas come from both atoms' features through an MLP that is averaged over both
orders of the pair, so that E_ij = E_ji. At d = beta4 the Lennard-Jones part has its
minimum -beta2 (not zero, as the paper's text has it).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

from ase_physml.graph import AtomGraph

COULOMB = 14.399645
"""e^2 / (4 pi eps0) in eV Å."""

_SOFT_START, _SOFT_WIDTH = 0.3, 0.05  # Å
_STEEPEST = 8.0


class PairParameters(NamedTuple):
    """The betas of each pair, shape (*P) each.

    Attributes:
        charge_product: -beta0 beta1 / (e^2/4 pi eps0) in e^2; positive repels.
        depth: beta2, eV.
        exponent: beta3.
        minimum: beta4, Å.
    """

    charge_product: Tensor
    depth: Tensor
    exponent: Tensor
    minimum: Tensor


def _inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))


class PairEnergy(nn.Module):
    """f_bond: R^2d -> R^5 and the energy it parametrises.

    Ranges: beta0 in (-1, 1), beta1 and beta2 positive, beta3 in (1, 12), beta4 within
    a factor exp(0.5) of the sum of covalent radii. They start at q_i q_j = 0, 0.05 eV,
    6 and that sum, so that training begins near ordinary chemistry.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width, bias=False)
        self.betas = nn.Linear(width, 5)
        with torch.no_grad():
            self.betas.weight.mul_(0.1)
            self.betas.bias.zero_()
        strength, depth, exponent = 0.05, 0.05, 6.0
        share = (exponent - 1.0) / 11.0
        self.start = (
            _inverse_softplus(strength),
            _inverse_softplus(depth),
            math.log(share / (1.0 - share)),
        )

    def parameters_of(
        self, graph: AtomGraph, x: Tensor, radii: Tensor
    ) -> PairParameters:
        """Betas of every pair from features (*A, d) and covalent radii (*A) in Å."""
        raw = 0.5 * graph.of_pairs(self._mlp, self.first(x), self.second(x))
        r0, r1, r2, r3, r4 = raw.unbind(-1)
        c1, c2, c3 = self.start
        first, second = graph.pair_atoms(radii)
        return PairParameters(
            charge_product=-torch.tanh(r0) * softplus(r1 + c1),
            depth=softplus(r2 + c2),
            exponent=1.0 + 11.0 * torch.sigmoid(r3 + c3),
            minimum=(first + second) * torch.exp(0.5 * torch.tanh(r4)),
        )

    def _mlp(self, hidden: Tensor) -> Tensor:
        result: Tensor = self.betas(silu(hidden))
        return result

    @staticmethod
    def energy(betas: PairParameters, distance: Tensor) -> Tensor:
        """E_ij in eV for distances (*P) in Å; finite for every distance, smooth."""
        soft = soft_core(distance)
        coulomb = COULOMB * betas.charge_product / soft
        steep = betas.exponent * torch.log(betas.minimum / soft)
        capped = torch.clamp(steep, max=_STEEPEST)
        # (e^s - 1)^2 - 1 in s = beta3 ln(beta4/d), continued by its tangent so that
        # half an angstrom of noise gives a large number and not an infinite one.
        grown = torch.exp(capped)
        well = (grown - 1.0).square() - 1.0
        slope = 2.0 * (grown - 1.0) * grown
        return coulomb + betas.depth * (well + slope * (steep - capped))


def taper(distance: Tensor, cutoff: float) -> Tensor:
    """1 up to three quarters of the cutoff, 0 beyond it, twice differentiable."""
    t = torch.clamp(4.0 * distance / cutoff - 3.0, 0.0, 1.0)
    return 1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t.square())


def soft_core(distance: Tensor) -> Tensor:
    """The distance itself above about 0.5 Å, never below 0.3 Å."""
    return _SOFT_START + _SOFT_WIDTH * softplus(
        (distance - _SOFT_START) / _SOFT_WIDTH, threshold=50.0
    )
