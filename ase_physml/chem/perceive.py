"""Bonds of molecules of which only elements and positions are known.

Two atoms are joined if they are nearer than the sum of their covalent radii times a
factor, a hydrogen with its nearest atom only. RDKit then finds the bond orders and
charges of the neutral molecule (the algorithm of xyz2mol, Kim and Kim 2015). RDKit's
own choice of which atoms are joined fails for every twentieth molecule of QM9, small
cages mostly; with this one nearly none is lost.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase.data import covalent_radii
from rdkit import Chem
from rdkit.Chem import rdDetermineBonds
from rdkit.rdBase import BlockLogs

from ase_physml.chem.featurise import Featurised, Order, featurise
from ase_physml.data.frame import Array, Frame
from ase_physml.errors import DataError

# In this order: 1.15 stands between the longest bonds of QM9 and the shortest distances
# across its rings; the others help where charges say that a bond is wrong or missing.
_FACTORS = (1.15, 1.2, 1.1)


def perceive(frame: Frame, order: Order = "smiles") -> Featurised:
    """Features of a neutral molecule, with the positions of its heavy atoms.

    Args:
        frame: All atoms, hydrogens too.
        order: As of `featurise`.

    Raises:
        DataError: No bonds explain this geometry, or it is not a molecule.
    """
    molecule = bonded(frame)
    if any(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()):
        raise DataError("no bonds found: an unpaired electron would remain")
    return featurise(molecule, frame.positions[frame.numbers != 1], order)


def bonded(frame: Frame) -> Chem.Mol:
    """RDKit molecule with all atoms, bonds, one conformer, and stereochemistry from it.

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
    radii = covalent_radii[frame.numbers]
    vectors = frame.positions[:, None] - frame.positions
    relative: Array = np.linalg.norm(vectors, axis=-1) / (radii[:, None] + radii)
    np.fill_diagonal(relative, np.inf)
    joined = relative < factor
    hydrogen = frame.numbers == 1
    nearest = np.zeros_like(joined)
    nearest[np.arange(len(radii)), relative.argmin(1)] = True
    joined &= np.where(hydrogen[:, None], nearest, True)
    joined &= joined.T
    for i, j in np.argwhere(np.triu(joined)):
        yield int(i), int(j)


def _doubts(molecule: Chem.Mol) -> tuple[int, int]:
    """Fragments and charges; (1, 0) for most molecules."""
    charges = sum(abs(atom.GetFormalCharge()) for atom in molecule.GetAtoms())
    return len(Chem.GetMolFrags(molecule)), charges
