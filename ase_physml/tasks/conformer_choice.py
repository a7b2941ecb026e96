"""Which conformers are distinct, and how much each counts."""

from collections.abc import Iterable

import numpy as np
from ase.units import kB
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from ase_physml.data.frame import Array
from ase_physml.molecules.embed import heavy_atoms
from ase_physml.molecules.stereo import placed

# Ways to map a molecule onto itself that are tried; few have more.
_SYMMETRIES = 10_000


class HeavyRMSD:
    """Symmetry-aware root mean square deviation of heavy atoms, Å.

    Of all ways to map the molecule onto itself the best counts; rotations are proper,
    so that mirror images differ.

    Args:
        molecule: With explicit hydrogens.
    """

    def __init__(self, molecule: Chem.Mol) -> None:
        self._atoms = heavy_atoms(molecule)
        self._heavy = Chem.RemoveAllHs(molecule, sanitize=False)

    def __call__(self, a: Array, b: Array) -> float:
        """Between two geometries of all atoms, Å (n, 3)."""
        probe, reference = (placed(self._heavy, x[self._atoms]) for x in (a, b))
        rmsd: float = rdMolAlign.GetBestRMS(probe, reference, maxMatches=_SYMMETRIES)
        return rmsd


def distinct(
    geometries: Iterable[Array], rmsd: HeavyRMSD, threshold: float, most: int
) -> list[int]:
    """Indices of geometries that are no copies of earlier ones, at most so many."""
    kept: list[int] = []
    seen: list[Array] = []
    for index, geometry in enumerate(geometries):
        if len(kept) == most:
            break
        if all(rmsd(geometry, other) > threshold for other in seen):
            kept.append(index)
            seen.append(geometry)
    return kept


def boltzmann_weights(energies: Array, temperature: float) -> Array:
    """Of states with these energies (eV) at a temperature (K); they add up to 1."""
    factors = np.exp(-(energies - energies.min()) / (kB * temperature))
    weights: Array = factors / factors.sum()
    return weights
