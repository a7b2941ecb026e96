"""Element data that the model reads: electronegativity, radii, depth of dispersion.

Pauling electronegativities (CRC Handbook, and Allred's of 1961 for some lanthanides;
those of He, Ne, Ar and Kr, which have none, are 0 *after* centring, never NaN) and
single-bond covalent radii in Å (Cordero et al. 2008, doi 10.1039/b801115j).
The radii are those of ``ase.data``, written out: models know nothing of ASE, and those
that were trained with these keep them.
"""

import math

import torch
from torch import Tensor

_PAULING = {
    1: 2.20, 3: 0.98, 4: 1.57, 5: 2.04, 6: 2.55, 7: 3.04, 8: 3.44, 9: 3.98,
    11: 0.93, 12: 1.31, 13: 1.61, 14: 1.90, 15: 2.19, 16: 2.58, 17: 3.16,
    19: 0.82, 20: 1.00, 21: 1.36, 22: 1.54, 23: 1.63, 24: 1.66, 25: 1.55, 26: 1.83,
    27: 1.88, 28: 1.91, 29: 1.90, 30: 1.65, 31: 1.81, 32: 2.01, 33: 2.18, 34: 2.55,
    35: 2.96, 37: 0.82, 38: 0.95, 39: 1.22, 40: 1.33, 41: 1.60, 42: 2.16, 43: 1.90,
    44: 2.20, 45: 2.28, 46: 2.20, 47: 1.93, 48: 1.69, 49: 1.78, 50: 1.96, 51: 2.05,
    52: 2.10, 53: 2.66, 54: 2.60, 55: 0.79, 56: 0.89, 57: 1.10, 58: 1.12, 59: 1.13,
    60: 1.14, 61: 1.13, 62: 1.17, 63: 1.20, 64: 1.20, 65: 1.10, 66: 1.22, 67: 1.23,
    68: 1.24, 69: 1.25, 70: 1.10, 71: 1.27, 72: 1.30, 73: 1.50, 74: 2.36, 75: 1.90,
    76: 2.20, 77: 2.20, 78: 2.20, 79: 2.40, 80: 2.00, 81: 1.62, 82: 1.80, 83: 2.02,
    84: 2.00, 85: 2.20, 86: 2.20, 87: 0.79, 88: 0.90, 89: 1.10, 90: 1.30, 91: 1.50,
    92: 1.38, 93: 1.36, 94: 1.28, 95: 1.30, 96: 1.30,
}  # fmt: skip

_COVALENT_RADIUS = [
    0.31, 0.28,
    1.28, 0.96, 0.84, 0.76, 0.71, 0.66, 0.57, 0.58,
    1.66, 1.41, 1.21, 1.11, 1.07, 1.05, 1.02, 1.06,
    2.03, 1.76, 1.70, 1.60, 1.53, 1.39, 1.39, 1.32, 1.26, 1.24, 1.32, 1.22,
    1.22, 1.20, 1.19, 1.20, 1.20, 1.16,
    2.20, 1.95, 1.90, 1.75, 1.64, 1.54, 1.47, 1.46, 1.42, 1.39, 1.45, 1.44,
    1.42, 1.39, 1.39, 1.38, 1.39, 1.40,
    2.44, 2.15, 2.07, 2.04, 2.03, 2.01, 1.99, 1.98, 1.98, 1.96, 1.94, 1.92,
    1.92, 1.89, 1.90, 1.87, 1.87, 1.75, 1.70, 1.62, 1.51, 1.44, 1.41, 1.36,
    1.36, 1.32, 1.45, 1.46, 1.48, 1.40, 1.50, 1.50,
    2.60, 2.21, 2.15, 2.06, 2.00, 1.96, 1.90, 1.87, 1.80, 1.69,
]  # fmt: skip

# Distance in Å at the minimum between two atoms that are not bonded, and its depth in
# kcal/mol, of the Universal Force Field (Rappé et al. 1992, doi 10.1021/ja00051a040).
_CONTACT = {
    1: (2.886, 0.044), 2: (2.362, 0.056), 3: (2.451, 0.025), 4: (2.745, 0.085),
    5: (4.083, 0.180), 6: (3.851, 0.105), 7: (3.660, 0.069), 8: (3.500, 0.060),
    9: (3.364, 0.050), 10: (3.243, 0.042), 11: (2.983, 0.030), 12: (3.021, 0.111),
    13: (4.499, 0.505), 14: (4.295, 0.402), 15: (4.147, 0.305), 16: (4.035, 0.274),
    17: (3.947, 0.227), 18: (3.868, 0.185), 35: (4.189, 0.251), 53: (4.500, 0.339),
}  # fmt: skip
# Others are as deep as a metal of that table, and as wide as most are.
_METAL_DEPTH, _BEYOND_COVALENT = 0.1, 1.0
_KCAL_PER_MOL = 0.0433641153

_CENTRE = 2.5


def electronegativity(number: int) -> float:
    """Centred Pauling electronegativity; 0 where Pauling gives none."""
    return _PAULING.get(number, _CENTRE) - _CENTRE


def covalent_radius(number: int) -> float:
    """Single-bond covalent radius in Å."""
    return _COVALENT_RADIUS[number - 1]


def radii_of(numbers: Tensor) -> Tensor:
    """Single-bond covalent radii in Å of atomic numbers, in float64."""
    table = torch.tensor([math.nan, *_COVALENT_RADIUS], dtype=torch.float64)
    return table.to(numbers.device)[numbers]


def contact_radius(number: int) -> float:
    """Half of the distance in Å at which two atoms touch that are not bonded."""
    if number in _CONTACT:
        return 0.5 * _CONTACT[number][0]
    return covalent_radius(number) + _BEYOND_COVALENT


def contact_depth(number: int) -> float:
    """Depth in eV of the well between two atoms that are not bonded."""
    depth = _CONTACT[number][1] if number in _CONTACT else _METAL_DEPTH
    return depth * _KCAL_PER_MOL
