"""Stereochemistry of a geometry, beside that of its molecule."""

from __future__ import annotations

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from ase_physml.chem.smiles import with_positions
from ase_physml.data.frame import Array

# Sign of the volume that neighbours span in their order.
_VOLUMES = {
    Chem.ChiralType.CHI_TETRAHEDRAL_CW: -1.0,
    Chem.ChiralType.CHI_TETRAHEDRAL_CCW: 1.0,
}
FLAT = 0.1
"""Volume that the directions of three bonds span; below this, a centre is flat."""

_CIS = (Chem.BondStereo.STEREOZ, Chem.BondStereo.STEREOCIS)
_TRANS = (Chem.BondStereo.STEREOE, Chem.BondStereo.STEREOTRANS)
# The hydrogen is all that the nitrogen carries.
_IMINE = Chem.MolFromSmarts("[#1]-[NX2]=[#6]")


def keeps_stereo(molecule: Chem.Mol, positions: Array, least: float = FLAT) -> bool:
    """True if all stereocentres and double bonds that are specified are so in space.

    Compared is handedness about each atom and the side of each double bond, not R and
    S, whose meaning changes with what is specified elsewhere.

    Args:
        molecule: Molecule with explicit hydrogens.
        positions: Positions, Å (N, 3).
        least: Least volume that a stereocentre spans; -`FLAT` to let flat ones pass, as
            are some of small cages.
    """
    in_space = with_positions(molecule, positions)
    for bond in molecule.GetBonds():
        if bond.GetStereo() in (*_CIS, *_TRANS):
            cis = abs(_torsion(in_space, bond)) < 90.0
            if cis != (bond.GetStereo() in _CIS):
                return False
    return all(
        _VOLUMES[atom.GetChiralTag()] * _volume(atom, positions) > least
        for atom in molecule.GetAtoms()
        if atom.GetChiralTag() in _VOLUMES
    )


def with_stereo_of(molecule: Chem.Mol, positions: Array) -> Chem.Mol:
    """Copy of a molecule in which what was not specified is as in a geometry.

    The hydrogen of an imine ``C=N[H]`` stays free to swing to the other side.

    Args:
        molecule: Molecule with explicit hydrogens.
        positions: Positions, Å (N, 3).
    """
    in_space = with_positions(molecule, positions)
    Chem.AssignStereochemistryFrom3D(in_space, replaceExistingTags=False)
    in_space.RemoveAllConformers()
    for hydrogen, nitrogen, carbon in in_space.GetSubstructMatches(_IMINE):
        as_given = molecule.GetBondBetweenAtoms(nitrogen, carbon).GetStereo()
        if as_given == Chem.BondStereo.STEREONONE:
            double = in_space.GetBondBetweenAtoms(nitrogen, carbon)
            double.SetStereo(Chem.BondStereo.STEREONONE)
            # Which SMILES and embeddings would read again.
            single = in_space.GetBondBetweenAtoms(hydrogen, nitrogen)
            single.SetBondDir(Chem.BondDir.NONE)
    return in_space


def _volume(atom: Chem.Atom, positions: Array) -> float:
    """Volume that the directions of three bonds span; of four, the mean of all threes.

    Of four any three have a volume of their own in cages, some the other sign.
    """
    ends = [bond.GetOtherAtomIdx(atom.GetIdx()) for bond in atom.GetBonds()]
    vectors = positions[ends] - positions[atom.GetIdx()]
    vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    if len(ends) < 4:
        return float(np.linalg.det(vectors[:3]))
    first, *others = vectors[:4]
    return float(-np.linalg.det(np.array(others) - first) / 4)


def _torsion(molecule: Chem.Mol, bond: Chem.Bond) -> float:
    """Torsion about a double bond between the neighbours of its label, degrees."""
    first, second = bond.GetStereoAtoms()
    torsion: float = rdMolTransforms.GetDihedralDeg(
        molecule.GetConformer(),
        first,
        bond.GetBeginAtomIdx(),
        bond.GetEndAtomIdx(),
        second,
    )
    return torsion
