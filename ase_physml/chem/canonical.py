"""Canonical forms: one SMILES, one order of atoms and one hand for a molecule.

`canonical_smiles` is what features are computed of: heavy atoms alone. `canonical_form`
is what geometries are embedded in: all atoms, and the same for mirror images.
Embeddings draw random numbers atom by atom. Made for the canonical form, they give
equal geometries however a SMILES is written, and mirror images for mirror images.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from ase_physml.chem.smiles import invalid, parse_smiles
from ase_physml.data.frame import Array
from ase_physml.errors import DataError

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


def canonical_smiles(molecule: str | Chem.Mol) -> tuple[str, Chem.Mol, Array]:
    """Canonical SMILES, the molecule read from it, and where its atoms were.

    Args:
        molecule: SMILES or RDKit molecule, which stays as it is.

    Returns:
        SMILES without hydrogens, isotopes and atom maps; the molecule with its atoms
        in the order in which that SMILES names them; and the place of each among the
        heavy atoms of the input, int64 (n,).

    Raises:
        DataError: Not a molecule, no heavy atom, or a dummy atom.
    """
    name = molecule if isinstance(molecule, str) else None
    # What RDKit would print is in the error.
    with BlockLogs():
        smiles, index = _smiles_and_order(_heavy(_parsed(molecule), name))
        read = Chem.MolFromSmiles(smiles)
    if read is None:
        raise DataError(f"{name or smiles!r}: RDKit cannot read back {smiles!r}")
    return smiles, read, index


def _parsed(molecule: str | Chem.Mol) -> Chem.Mol:
    """Copy of a molecule that may be changed.

    Raises:
        DataError: No molecule.
    """
    if not isinstance(molecule, str):
        return Chem.Mol(molecule)
    if not molecule.strip():
        raise DataError("an empty SMILES names no molecule; leave the row out")
    parsed = parse_smiles(molecule)
    if parsed is None:
        raise invalid(molecule)
    return parsed


def _heavy(molecule: Chem.Mol, name: str | None) -> Chem.Mol:
    """Molecule without hydrogens, isotopes and atom maps."""
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() == 0 or atom.HasQuery():
            raise DataError(
                f"{_quoted(molecule, name)}: atom {atom.GetIdx()} is a dummy or query "
                "atom; give a molecule of known elements"
            )
        atom.SetIsotope(0)
        atom.SetAtomMapNum(0)
    try:
        heavy = Chem.RemoveAllHs(molecule)
    except ValueError as error:  # RDKit's own sanitisation errors
        raise DataError(f"{_quoted(molecule, name)}: {error}") from error
    if heavy.GetNumAtoms() == 0:
        raise DataError(
            f"{_quoted(molecule, name)}: no atom but hydrogen; hydrogens are implicit "
            "here, so a molecule needs another element"
        )
    # A centre that was one by its isotopes only is none any more.
    Chem.AssignStereochemistry(heavy, cleanIt=True, force=True)
    return heavy


def _smiles_and_order(heavy: Chem.Mol) -> tuple[str, Array]:
    """Canonical SMILES, and the atoms in the order in which it names them."""
    smiles: str = Chem.MolToSmiles(heavy)
    order = heavy.GetProp("_smilesAtomOutputOrder").strip("[],").split(",")
    return smiles, np.array(order, dtype=np.int64)


def _quoted(molecule: Chem.Mol, name: str | None) -> str:
    return repr(name if name is not None else Chem.MolToSmiles(molecule))


@dataclass(frozen=True)
class CanonicalForm:
    """Molecule as its canonical SMILES, or that of its mirror image, names its atoms.

    Attributes:
        molecule: RDKit molecule with explicit hydrogens, without atom maps.
        order: Place of each of its atoms in the molecule as given, int64 (N,).
        mirrored: True if it is the mirror image of the molecule as given.
    """

    molecule: Chem.Mol
    order: Array
    mirrored: bool

    def as_given(self, positions: Array) -> Array:
        """Positions of the molecule as given, Å (N, 3), from those of this form."""
        found = np.empty_like(positions)
        found[self.order] = positions
        return found * _MIRROR if self.mirrored else found

    def pairs_as_given(self, matrix: Array) -> Array:
        """Matrix (N, N) of pairs of atoms as given, from that of this form."""
        found = np.empty_like(matrix)
        found[np.ix_(self.order, self.order)] = matrix
        return found


def canonical_form(molecule: Chem.Mol) -> CanonicalForm:
    """Canonical form of a molecule with explicit hydrogens, which stays as it is."""
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
            return CanonicalForm(read, places, mirrored)
        # RDKit names some that are their own mirror image the other way round.
        if _is_same(renumbered, _inverted(read)):
            return CanonicalForm(read, places, not mirrored)
    # What SMILES cannot say, some bonds of metals, stays in the order it has.
    return CanonicalForm(plain, np.arange(molecule.GetNumAtoms()), False)


def _inverted(molecule: Chem.Mol) -> Chem.Mol:
    copy = Chem.Mol(molecule)
    for atom in copy.GetAtoms():
        atom.InvertChirality()
    return copy


def _is_same(a: Chem.Mol, b: Chem.Mol) -> bool:
    """True of molecules with equal atoms, bonds and stereochemistry in one order."""
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
    """Hand of neighbours in the order of their indices: 1, -1, or 0 where open."""
    tag = _HANDS.get(atom.GetChiralTag(), 0)
    ends = [bond.GetOtherAtomIdx(atom.GetIdx()) for bond in atom.GetBonds()]
    swaps = sum(a > b for a, b in combinations(ends, 2))
    return -tag if swaps % 2 else tag


def _bond(bond: Chem.Bond) -> tuple[int, int, int]:
    """Ends of a bond, and 1 if their first other neighbours are cis, -1 if trans."""
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
