"""One way to number the atoms of a molecule, and one hand for it and its mirror image.

Embeddings draw random numbers atom by atom. Made for the normal form, they give equal
geometries however a SMILES is written, and mirror images for mirror images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from ase_physml.data.frame import Array

_MIRROR = np.array([1.0, 1.0, -1.0])


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
    with BlockLogs():
        plain, mirror = _unmapped(molecule), _unmapped(molecule)
        for atom in mirror.GetAtoms():
            atom.InvertChirality()
        forms = [(Chem.MolToSmiles(one), one) for one in (plain, mirror)]
        mirrored = forms[1][0] < forms[0][0]
        smiles, chosen = forms[mirrored]
        read = _read(smiles)
        # What SMILES cannot say, some bonds of metals, stays in the order it has.
        if read is None or Chem.MolToSmiles(read) != smiles:
            return NormalForm(plain, np.arange(molecule.GetNumAtoms()), False)
    order = chosen.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"]
    return NormalForm(read, np.array(list(order), dtype=np.int64), mirrored)


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
