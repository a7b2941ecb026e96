"""Physics-driven pair energy: Coulomb + generalised Lennard-Jones (Eqs 5 and 6).

``E_ij = -beta1 beta0 / d + beta2 [(beta4/d)^(2 beta3) - 2 (beta4/d)^beta3]``

The five betas come from both atoms' features through an MLP that is averaged over both
orders of the pair, so that E_ij = E_ji. At d = beta4 the Lennard-Jones part has its
minimum -beta2 (not zero, as the paper's text has it).

"printed" pair terms are these to the letter. Others stay finite where atoms meet, and
their exponents above one.

Beyond the paper, "physical" pair terms take charges of atoms (see `coulomb`) in place
of beta0 beta1, and their other betas start at chemistry: covalent radii inside bonds,
van der Waals radii and depths of dispersion between atoms that are not bonded.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

from ase_physml.graph import AtomGraph
from ase_physml.models.physml.coulomb import charge_widths, coulomb_kernel

COULOMB = 14.399645
"""e^2 / (4 pi eps0) in eV Å."""

_SOFT_START, _SOFT_WIDTH = 0.3, 0.05  # Å
_STEEPEST = 8.0
# Of the sum of van der Waals radii: in one molecule up to the first (so far apart are
# two neighbours of an atom), in contact from the second on.
_BONDED, _LOOSE = 0.65, 0.9
# Depth and exponent of a well at the start, eV and 1.
_DEPTH, _EXPONENT = 0.05, 6.0
# Exponents: the lowest, and the lowest as printed; the highest.
_LOWEST, _HIGHEST = (1.0, 0.0), 12.0


class PairParameters(NamedTuple):
    """The betas of each pair, shape (*P) each.

    Attributes:
        charge_product: -beta0 beta1 / (e^2/4 pi eps0) in e^2, or the product of both
            charges; positive repels.
        depth: beta2, eV.
        exponent: beta3.
        minimum: beta4, Å.
    """

    charge_product: Tensor
    depth: Tensor
    exponent: Tensor
    minimum: Tensor


class AtomData(NamedTuple):
    """What physical pair terms know of atoms, shape (*A) each.

    Attributes:
        charges: e.
        radii: Covalent radii, Å.
        contact_radii: Van der Waals radii, Å.
        depths: Depths of dispersion wells, eV.
    """

    charges: Tensor
    radii: Tensor
    contact_radii: Tensor
    depths: Tensor


def coulomb_energy(
    betas: PairParameters, distance: Tensor, radius: Tensor, other: Tensor
) -> Tensor:
    """Energy in eV of the Gaussian charges of pairs, with covalent radii in Å."""
    kernel = coulomb_kernel(distance, charge_widths(radius), charge_widths(other))
    return COULOMB * betas.charge_product * kernel


def _inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))


class PairEnergy(nn.Module):
    """f_bond: R^2d -> R^5 and the energy it parametrises.

    Ranges: beta0 in (-1, 1), beta1 and beta2 positive, beta3 in (1, 12), beta4 within
    a factor exp(0.5) of the sum of covalent radii. They start at q_i q_j = 0, 0.05 eV,
    6 and that sum, so that training begins near ordinary chemistry.

    Args:
        width: Feature width d.
        terms: "paper"; "printed", with beta3 in (0, 12); or "physical": read charges of
            atoms; the other betas are positive and unbounded.
    """

    def __init__(self, width: int, terms: str = "paper") -> None:
        super().__init__()
        self.physical = physical = terms == "physical"
        self.as_printed = terms == "printed"
        self.lowest = _LOWEST[self.as_printed]
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width, bias=False)
        self.betas = nn.Linear(width, 3 if physical else 5)
        with torch.no_grad():
            self.betas.weight.mul_(0.1)
            self.betas.bias.zero_()
        share = (_EXPONENT - self.lowest) / (_HIGHEST - self.lowest)
        self.start = (
            _inverse_softplus(0.05),
            _inverse_softplus(_DEPTH),
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
            exponent=self.lowest + (_HIGHEST - self.lowest) * torch.sigmoid(r3 + c3),
            minimum=(first + second) * torch.exp(0.5 * torch.tanh(r4)),
        )

    def deviations_of(self, graph: AtomGraph, x: Tensor) -> Tensor:
        """Logarithms of depth, exponent and distance over their start, (*P, 3).

        What a regulariser towards chemistry keeps small.
        """
        return 0.5 * graph.of_pairs(self._mlp, self.first(x), self.second(x))

    def physical_parameters_of(
        self, graph: AtomGraph, x: Tensor, atoms: "AtomData", distance: Tensor
    ) -> PairParameters:
        """Betas of every pair for charges of atoms, at distances (*P) in Å."""
        r2, r3, r4 = self.deviations_of(graph, x).unbind(-1)
        charge, other = graph.pair_atoms(atoms.charges)
        radius, other_radius = graph.pair_atoms(atoms.radii)
        contact, other_contact = graph.pair_atoms(atoms.contact_radii)
        depth, other_depth = graph.pair_atoms(atoms.depths)
        bond, contact = radius + other_radius, contact + other_contact
        t = (distance / contact - _BONDED) / (_LOOSE - _BONDED)
        t = torch.clamp(t, 0.0, 1.0)
        loose = t**3 * (10.0 - 15.0 * t + 6.0 * t.square())
        dispersion = (depth * other_depth).sqrt()
        return PairParameters(
            charge_product=charge * other,
            depth=(_DEPTH + loose * (dispersion - _DEPTH)) * torch.exp(r2),
            exponent=_EXPONENT * torch.exp(r3),
            minimum=(bond + loose * (contact - bond)) * torch.exp(r4),
        )

    def _mlp(self, hidden: Tensor) -> Tensor:
        result: Tensor = self.betas(silu(hidden))
        return result

    def energy(self, betas: PairParameters, distance: Tensor) -> Tensor:
        """E_ij in eV for distances (*P) in Å."""
        form = self.printed if self.as_printed else self.finite
        return form(betas, distance)

    @staticmethod
    def printed(betas: PairParameters, distance: Tensor) -> Tensor:
        """E_ij in eV for distances (*P) in Å as Eq 5 has it."""
        ratio = (betas.minimum / distance) ** betas.exponent
        coulomb = COULOMB * betas.charge_product / distance
        return coulomb + betas.depth * (ratio.square() - 2.0 * ratio)

    @staticmethod
    def finite(betas: PairParameters, distance: Tensor) -> Tensor:
        """E_ij in eV for distances (*P) in Å; finite for every distance, smooth."""
        soft = soft_core(distance)
        coulomb = COULOMB * betas.charge_product / soft
        return coulomb + PairEnergy.well(betas, distance)

    @staticmethod
    def well(betas: PairParameters, distance: Tensor) -> Tensor:
        """Lennard-Jones part of E_ij in eV."""
        soft = soft_core(distance)
        steep = betas.exponent * torch.log(betas.minimum / soft)
        capped = torch.clamp(steep, max=_STEEPEST)
        # (e^s - 1)^2 - 1 in s = beta3 ln(beta4/d), continued by its tangent so that
        # half an angstrom of noise gives a large number and not an infinite one.
        grown = torch.exp(capped)
        well = (grown - 1.0).square() - 1.0
        slope = 2.0 * (grown - 1.0) * grown
        return betas.depth * (well + slope * (steep - capped))


def taper(distance: Tensor, cutoff: float) -> Tensor:
    """1 up to three quarters of the cutoff, 0 beyond it, twice differentiable."""
    t = torch.clamp(4.0 * distance / cutoff - 3.0, 0.0, 1.0)
    return 1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t.square())


def soft_core(distance: Tensor) -> Tensor:
    """The distance itself above about 0.5 Å, never below 0.3 Å."""
    return _SOFT_START + _SOFT_WIDTH * softplus(
        (distance - _SOFT_START) / _SOFT_WIDTH, threshold=50.0
    )
