"""Whether a geometry is that of a molecule: its bonds and its stereochemistry."""

from __future__ import annotations

import numpy as np
from ase.data import covalent_radii
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

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
# Longer than the sum of covalent radii times this, a bond is broken.
_BROKEN = 1.35
# Shorter, two atoms are joined; see `perceive`.
_JOINED = 1.15
# Whose hydrogen is all that the nitrogen carries.
_IMINE = Chem.MolFromSmarts("[#1]-[NX2]=[#6]")


def placed(molecule: Chem.Mol, positions: Array) -> Chem.Mol:
    """A copy with these positions, Å (n, 3), as its only conformer."""
    copy = Chem.Mol(molecule)
    copy.RemoveAllConformers()
    conformer = Chem.Conformer(copy.GetNumAtoms())
    conformer.SetPositions(np.ascontiguousarray(positions, dtype=np.float64))
    copy.AddConformer(conformer)
    return copy


def keeps_stereo(molecule: Chem.Mol, positions: Array, least: float = FLAT) -> bool:
    """All stereocentres and double bonds that are specified are so in space.

    Compared is handedness about each atom and the side of each double bond, not R and
    S, whose meaning changes with what is specified elsewhere.

    Args:
        molecule: With explicit hydrogens.
        positions: Å (n, 3).
        least: Volume that a stereocentre spans; -`FLAT` to let flat ones pass, as are
            some of small cages.
    """
    in_space = placed(molecule, positions)
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


def keeps_bonds(molecule: Chem.Mol, positions: Array) -> bool:
    """No bond is broken."""
    joined = np.asarray(Chem.GetAdjacencyMatrix(molecule), dtype=bool)
    return bool((_relative(molecule, positions)[joined] < _BROKEN).all())


def parted(molecule: Chem.Mol, positions: Array) -> bool:
    """No atoms have been joined that no bond joins."""
    apart = ~np.asarray(Chem.GetAdjacencyMatrix(molecule), dtype=bool)
    np.fill_diagonal(apart, False)
    return bool((_relative(molecule, positions)[apart] > _JOINED).all())


def _relative(molecule: Chem.Mol, positions: Array) -> Array:
    """Distances in sums of covalent radii, (n, n)."""
    radii = covalent_radii[[atom.GetAtomicNum() for atom in molecule.GetAtoms()]]
    lengths = np.linalg.norm(positions[:, None] - positions, axis=-1)
    relative: Array = lengths / (radii[:, None] + radii)
    return relative


def with_stereo_of(molecule: Chem.Mol, positions: Array) -> Chem.Mol:
    """A copy in which what was not specified is as in this geometry.

    The hydrogen of an imine ``C=N[H]`` stays free to swing to the other side.
    """
    in_space = placed(molecule, positions)
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
    """Spanned by the directions of three bonds: of four, the mean of all threes.

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
    """About a double bond, between the neighbours that its label speaks of, degrees."""
    first, second = bond.GetStereoAtoms()
    torsion: float = rdMolTransforms.GetDihedralDeg(
        molecule.GetConformer(),
        first,
        bond.GetBeginAtomIdx(),
        bond.GetEndAtomIdx(),
        second,
    )
    return torsion
