"""Bonds by distance: what is bonded, for all who decide it.

Every such decision compares a distance with the sum of two covalent radii, ASE's (of
Cordero et al. 2008), times a factor. Which factor depends on what the structure is and
on which mistake is worse; all are named here.

Bonds of molecules of which only elements and positions are known: two atoms are joined
by `PERCEIVED`, a hydrogen with its nearest atom only. RDKit then finds the bond orders
and charges of the neutral molecule (the algorithm of xyz2mol, Kim and Kim 2015). Its
own choice of which atoms are joined fails for every twentieth molecule of QM9, small
cages mostly; with this one nearly none is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from rdkit import Chem
from rdkit.Chem import rdDetermineBonds
from rdkit.rdBase import BlockLogs
from scipy.spatial import cKDTree

from ase_physml.chem.features import Featurised, Order, featurise
from ase_physml.data.frame import Array, Frame
from ase_physml.errors import DataError

PERCEIVED = 1.15
"""Factor of a bond near a minimum: between the longest bonds of QM9 and the shortest
distances across its rings. Also of a bond that no molecule should have formed."""

FORMED = 1.1
"""Factor of a bond that a structure of a known molecule has formed. Shorter than
`PERCEIVED`, since that is an error there, and crowded conformers shall pass."""

BROKEN = 1.35
"""Factor from which on a bond of a known molecule is broken: bonds vibrate."""

STRETCHED = 1.25
"""Factor of a bond in a structure of which nothing is known, far from a minimum
perhaps, as along a reaction: between `PERCEIVED` and `BROKEN`."""

SPRING = 1.3
"""Factor of a bond that gets a spring in the field that displaces frames of training:
one too many makes a displacement a little smaller, one too few tears a molecule."""

# In this order: the others help where charges say that a bond is wrong or missing.
_FACTORS = (PERCEIVED, 1.2, 1.1)


def relative_distances(numbers: Sequence[int] | Array, positions: Array) -> Array:
    """Distances in sums of covalent radii, (N, N).

    Args:
        numbers: Atomic numbers (N,).
        positions: Positions, Å (N, 3).
    """
    radii = covalent_radii[np.asarray(numbers)]
    lengths = np.linalg.norm(positions[:, None] - positions, axis=-1)
    relative: Array = lengths / (radii[:, None] + radii)
    return relative


def summed_radii(numbers: Array, pairs: Array) -> Array:
    """Sums of the covalent radii of pairs of atoms, Å (P,).

    Args:
        numbers: Atomic numbers (N,).
        pairs: Indices of both atoms of each pair (2, P).
    """
    i, j = pairs
    sums: Array = covalent_radii[numbers[i]] + covalent_radii[numbers[j]]
    return sums


def bonded_pairs(atoms: Atoms) -> set[tuple[int, int]]:
    """Pairs of atoms, the lower index first, that are bonded by `STRETCHED`."""
    radii = covalent_radii[atoms.numbers]
    found = set()
    for i, j in cKDTree(atoms.positions).query_pairs(2 * STRETCHED * radii.max()):
        distance = float(np.linalg.norm(atoms.positions[i] - atoms.positions[j]))
        if distance < STRETCHED * (radii[i] + radii[j]):
            found.add((min(i, j), max(i, j)))
    return found


def keeps_bonds(molecule: Chem.Mol, positions: Array) -> bool:
    """True if no bond of a molecule is broken, by `BROKEN`.

    Args:
        molecule: Molecule with explicit hydrogens.
        positions: Positions, Å (N, 3).
    """
    joined = np.asarray(Chem.GetAdjacencyMatrix(molecule), dtype=bool)
    relative = relative_distances(_numbers(molecule), positions)
    return bool((relative[joined] < BROKEN).all())


def forms_no_bonds(molecule: Chem.Mol, positions: Array) -> bool:
    """True if no atoms are joined, by `PERCEIVED`, that no bond of a molecule joins.

    Args:
        molecule: Molecule with explicit hydrogens.
        positions: Positions, Å (N, 3).
    """
    apart = ~np.asarray(Chem.GetAdjacencyMatrix(molecule), dtype=bool)
    np.fill_diagonal(apart, False)
    relative = relative_distances(_numbers(molecule), positions)
    return bool((relative[apart] > PERCEIVED).all())


def _numbers(molecule: Chem.Mol) -> list[int]:
    return [atom.GetAtomicNum() for atom in molecule.GetAtoms()]


def featurise_frame(frame: Frame, order: Order = "smiles") -> Featurised:
    """Features of a neutral molecule, with the positions of its heavy atoms.

    Args:
        frame: Structure with all atoms, hydrogens too.
        order: Order of the atoms; see `featurise`.

    Raises:
        DataError: No bonds explain this geometry, or it is not a molecule.
    """
    molecule = perceive_bonds(frame)
    if any(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()):
        raise DataError("no bonds found: an unpaired electron would remain")
    return featurise(molecule, frame.positions[frame.numbers != 1], order)


def perceive_bonds(frame: Frame) -> Chem.Mol:
    """Molecule with all atoms, bonds, one conformer, and stereochemistry from it.

    Of several readings the one with the fewest fragments counts, and of those the one
    with the fewest charges. Amino acids whose proton has moved keep theirs.

    Raises:
        DataError: No bonds explain this geometry.
    """
    best: Chem.Mol | None = None
    reason = ""
    for factor in _FACTORS:
        molecule = _joined(frame, factor)
        try:
            with BlockLogs():
                rdDetermineBonds.DetermineBondOrders(molecule, charge=0)
        except (ValueError, RuntimeError) as error:
            reason = reason or str(error).splitlines()[0]
            continue
        if best is None or _doubts(molecule) < _doubts(best):
            best = molecule
        if _doubts(best) == (1, 0):
            break
    if best is None:
        raise DataError(f"no bonds found: {reason}")
    return best


def _joined(frame: Frame, factor: float) -> Chem.RWMol:
    molecule = Chem.RWMol()
    for number in frame.numbers:
        atom = Chem.Atom(int(number))
        atom.SetNoImplicit(True)
        molecule.AddAtom(atom)
    for i, j in _near(frame, factor):
        molecule.AddBond(i, j, Chem.BondType.SINGLE)
    conformer = Chem.Conformer(len(frame.numbers))
    conformer.SetPositions(frame.positions.astype(np.float64))
    molecule.AddConformer(conformer)
    return molecule


def _near(frame: Frame, factor: float) -> Iterator[tuple[int, int]]:
    relative = relative_distances(frame.numbers, frame.positions)
    np.fill_diagonal(relative, np.inf)
    joined = relative < factor
    hydrogen = frame.numbers == 1
    nearest = np.zeros_like(joined)
    nearest[np.arange(len(hydrogen)), relative.argmin(1)] = True
    joined &= np.where(hydrogen[:, None], nearest, True)
    joined &= joined.T
    for i, j in np.argwhere(np.triu(joined)):
        yield int(i), int(j)


def _doubts(molecule: Chem.Mol) -> tuple[int, int]:
    """Fragments and charges; (1, 0) for most molecules."""
    charges = sum(abs(atom.GetFormalCharge()) for atom in molecule.GetAtoms())
    return len(Chem.GetMolFrags(molecule)), charges
