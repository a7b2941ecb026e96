"""One way to number the atoms of a molecule, and one hand for it and its mirror image.

Embeddings draw random numbers atom by atom. Made for the normal form, they give equal
geometries however a SMILES is written, and mirror images for mirror images.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from ase_physml.data.frame import Array

_MIRROR = np.array([1.0, 1.0, -1.0])
_HANDS = {
    Chem.ChiralType.CHI_TETRAHEDRAL_CW: 1,
    Chem.ChiralType.CHI_TETRAHEDRAL_CCW: -1,
}
_SIDES = {
    Chem.BondStereo.STEREOZ: 1,
    Chem.BondStereo.STEREOCIS: 1,
    Chem.BondStereo.STEREOE: -1,
    Chem.BondStereo.STEREOTRANS: -1,
}


@dataclass(frozen=True)
class NormalForm:
    """A molecule as its canonical SMILES, or that of its mirror image, names its atoms.

    Attributes:
        molecule: With explicit hydrogens, without atom maps.
        order: Place of each of its atoms in the molecule as given, int64 (n,).
        mirrored: It is the mirror image of the molecule as given.
    """

    molecule: Chem.Mol
    order: Array
    mirrored: bool

    def as_given(self, positions: Array) -> Array:
        """Positions of the molecule as given, Å (n, 3), from those of this form."""
        found = np.empty_like(positions)
        found[self.order] = positions
        return found * _MIRROR if self.mirrored else found

    def pairs_as_given(self, matrix: Array) -> Array:
        """The same for a matrix (n, n) of pairs of atoms."""
        found = np.empty_like(matrix)
        found[np.ix_(self.order, self.order)] = matrix
        return found


def normal_form(molecule: Chem.Mol) -> NormalForm:
    """Normal form of a molecule with explicit hydrogens; it stays as it is."""
    plain = _unmapped(molecule)
    with BlockLogs():
        hands = {False: plain, True: _inverted(plain)}
        names = {mirrored: Chem.MolToSmiles(one) for mirrored, one in hands.items()}
        mirrored = names[True] < names[False]
        read = _read(names[mirrored])
        order = list(
            hands[mirrored].GetPropsAsDict(True, True)["_smilesAtomOutputOrder"]
        )
        renumbered = Chem.RenumberAtoms(hands[mirrored], order)
    if read is not None:
        places = np.array(order, dtype=np.int64)
        if _is_same(renumbered, read):
            return NormalForm(read, places, mirrored)
        # RDKit names some that are their own mirror image the other way round.
        if _is_same(renumbered, _inverted(read)):
            return NormalForm(read, places, not mirrored)
    # What SMILES cannot say, some bonds of metals, stays in the order it has.
    return NormalForm(plain, np.arange(molecule.GetNumAtoms()), False)


def _inverted(molecule: Chem.Mol) -> Chem.Mol:
    copy = Chem.Mol(molecule)
    for atom in copy.GetAtoms():
        atom.InvertChirality()
    return copy


def _is_same(a: Chem.Mol, b: Chem.Mol) -> bool:
    """Molecules with the same atoms, bonds and stereochemistry in the same order."""
    if a.GetNumAtoms() != b.GetNumAtoms() or a.GetNumBonds() != b.GetNumBonds():
        return False
    return all(
        _hand(one) == _hand(other)
        and _charge(one) == _charge(other)
        and one.GetDegree() == other.GetDegree()
        for one, other in zip(a.GetAtoms(), b.GetAtoms(), strict=True)
    ) and {_bond(bond) for bond in a.GetBonds()} == {_bond(x) for x in b.GetBonds()}


def _charge(atom: Chem.Atom) -> tuple[int, int, int, int]:
    return (
        atom.GetAtomicNum(),
        atom.GetIsotope(),
        atom.GetFormalCharge(),
        atom.GetNumRadicalElectrons(),
    )


def _hand(atom: Chem.Atom) -> int:
    """Of neighbours in the order of their indices: 1, -1, or 0 where it is open."""
    tag = _HANDS.get(atom.GetChiralTag(), 0)
    ends = [bond.GetOtherAtomIdx(atom.GetIdx()) for bond in atom.GetBonds()]
    swaps = sum(a > b for a, b in combinations(ends, 2))
    return -tag if swaps % 2 else tag


def _bond(bond: Chem.Bond) -> tuple[int, int, int]:
    """Its ends, and 1 if their first other neighbours lie on one side, -1 across."""
    first, last = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
    side = _SIDES.get(bond.GetStereo(), 0)
    for end, marker in zip(
        (bond.GetBeginAtom(), bond.GetEndAtom()), bond.GetStereoAtoms(), strict=False
    ):
        others = {atom.GetIdx() for atom in end.GetNeighbors()} - {first, last}
        side = side if marker == min(others) else -side
    return first, last, side


def _read(smiles: str) -> Chem.Mol | None:
    # Its stubs take every setting for read-only.
    settings: Any = Chem.SmilesParserParams()
    settings.removeHs = False
    return Chem.MolFromSmiles(smiles, settings)


def _unmapped(molecule: Chem.Mol) -> Chem.Mol:
    copy = Chem.Mol(molecule)
    copy.RemoveAllConformers()
    for atom in copy.GetAtoms():
        atom.SetAtomMapNum(0)
    return copy
