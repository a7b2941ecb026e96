"""Selection of conformers: distinct ones, those far apart, and their weights."""

from collections.abc import Sequence

import numpy as np
from ase.units import kB
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from ase_physml.chem.smiles import heavy_atoms, with_positions
from ase_physml.data.frame import Array

SAME_ENERGY = 0.01
"""Energy by which two relaxed geometries of one conformer differ at most, eV: what a
relaxation leaves open along a soft torsion."""

# Ways to map a molecule onto itself that are tried; few have more.
_SYMMETRIES = 1_000


class RMSD:
    """Symmetry-aware root mean square deviation of the atoms that matter, Å.

    Those are all but hydrogens on carbon, whose places follow from the others': of the
    rotors that end in hydrogens, OH and NH count and CH3 does not. Of all ways to map
    the molecule onto itself the best counts; rotations are proper, so that mirror
    images differ. Where a molecule has too many ways, sorted distances from the centre
    are compared instead, which are never further apart.

    Args:
        molecule: Molecule with explicit hydrogens.
        polar: Count hydrogens on other elements than carbon; else heavy atoms alone.
    """

    def __init__(self, molecule: Chem.Mol, *, polar: bool = True) -> None:
        self._atoms = _polar_atoms(molecule) if polar else heavy_atoms(molecule)
        self._reduced = _only(molecule, self._atoms)
        ranks = Chem.CanonicalRankAtoms(
            self._reduced, breakTies=False, includeChirality=False
        )
        self._classes = np.array(list(ranks))
        ways = self._reduced.GetSubstructMatches(
            self._reduced, uniquify=False, maxMatches=_SYMMETRIES
        )
        self._too_symmetric = len(ways) >= _SYMMETRIES

    def __call__(self, a: Array, b: Array) -> float:
        """RMSD of two geometries of all atoms, Å (N, 3) each."""
        if self._too_symmetric:
            return self.least(a, b)
        probe, reference = (
            with_positions(self._reduced, x[self._atoms]) for x in (a, b)
        )
        rmsd: float = rdMolAlign.GetBestRMS(probe, reference, maxMatches=_SYMMETRIES)
        return rmsd

    def least(self, a: Array, b: Array) -> float:
        """Lower bound of the RMSD, much faster, Å.

        Turning and mapping change neither the class of an atom nor its distance from
        the centre, and sorted distances differ least.
        """
        apart = self._profile(a) - self._profile(b)
        return float(np.sqrt(np.mean(apart**2)))

    def _profile(self, positions: Array) -> Array:
        counted = positions[self._atoms]
        far = np.linalg.norm(counted - counted.mean(0), axis=1)
        profile: Array = far[np.lexsort((far, self._classes))]
        return profile


def distinct(
    geometries: Sequence[Array],
    rmsd: RMSD,
    threshold: float,
    most: int,
    energies: Sequence[float] | None = None,
) -> list[int]:
    """Indices of geometries that are no copies of earlier ones, at most so many.

    Args:
        geometries: Positions, Å (N, 3) each.
        rmsd: RMSD of their molecule.
        threshold: RMSD below which one is a copy of another, Å.
        most: Number of indices to return, at most.
        energies: Energies, eV, in which copies also differ by less than `SAME_ENERGY`.
    """
    kept: list[int] = []
    for index, geometry in enumerate(geometries):
        if len(kept) == most:
            break
        others = [
            geometries[other]
            for other in kept
            if energies is None or abs(energies[index] - energies[other]) < SAME_ENERGY
        ]
        if not any(_near(geometry, other, rmsd, threshold) for other in others):
            kept.append(index)
    return kept


def _near(a: Array, b: Array, rmsd: RMSD, threshold: float) -> bool:
    return rmsd.least(a, b) <= threshold and rmsd(a, b) <= threshold


def spread(
    geometries: Sequence[Array], rmsd: RMSD, threshold: float, most: int
) -> list[int]:
    """Indices of geometries that are far from each other, the first one first.

    Each next one is the farthest from those before; there are no more where it is
    nearer than the threshold.

    Args:
        geometries: Positions, Å (N, 3) each.
        rmsd: RMSD of their molecule.
        threshold: RMSD from the nearest below which none is taken, Å.
        most: Number of indices to return, at most.
    """
    kept = [0]
    nearest = np.full(len(geometries), np.inf)
    while len(kept) < min(most, len(geometries)):
        last = geometries[kept[-1]]
        apart = [rmsd(geometry, last) for geometry in geometries]
        nearest = np.minimum(nearest, apart)
        farthest = int(nearest.argmax())
        if nearest[farthest] <= threshold:
            break
        kept.append(farthest)
    return kept


def boltzmann_weights(energies: Array, temperature: float) -> Array:
    """Boltzmann weights (M,) of energies, eV (M,), at a temperature, K."""
    factors = np.exp(-(energies - energies.min()) / (kB * temperature))
    weights: Array = factors / factors.sum()
    return weights


def _polar_atoms(molecule: Chem.Mol) -> Array:
    """Indices of all atoms but hydrogens on carbon, int64."""
    return np.array(
        [
            atom.GetIdx()
            for atom in molecule.GetAtoms()
            if atom.GetAtomicNum() != 1
            or all(other.GetAtomicNum() != 6 for other in atom.GetNeighbors())
        ],
        dtype=np.int64,
    )


def _only(molecule: Chem.Mol, atoms: Array) -> Chem.Mol:
    """Molecule without its other atoms, as it stands, unsanitised."""
    reduced = Chem.RWMol(molecule)
    reduced.BeginBatchEdit()
    for index in set(range(molecule.GetNumAtoms())) - set(atoms.tolist()):
        reduced.RemoveAtom(index)
    reduced.CommitBatchEdit()
    found = reduced.GetMol()
    # Which matching wants and an unsanitised molecule lacks.
    Chem.FastFindRings(found)
    found.UpdatePropertyCache(strict=False)
    return found
