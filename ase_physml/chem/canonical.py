"""From whatever names a molecule to its canonical SMILES, without hydrogens."""

from __future__ import annotations

import numpy as np
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from ase_physml.chem.smiles import parse_smiles, shown
from ase_physml.data.frame import Array
from ase_physml.errors import DataError


def canonical(molecule: str | Chem.Mol) -> tuple[str, Chem.Mol, Array]:
    """Canonical SMILES, the molecule read from it, and where its atoms were.

    Args:
        molecule: SMILES or RDKit molecule; left as it is.

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
        smiles, index = _written(_heavy(_parsed(molecule), name))
        read = Chem.MolFromSmiles(smiles)
    if read is None:
        raise DataError(f"{name or smiles!r}: RDKit cannot read back {smiles!r}")
    return smiles, read, index


def _parsed(molecule: str | Chem.Mol) -> Chem.Mol:
    """A copy that may be changed, refusing what is no molecule."""
    if not isinstance(molecule, str):
        return Chem.Mol(molecule)
    if not molecule.strip():
        raise DataError("an empty SMILES names no molecule; leave the row out")
    parsed = parse_smiles(molecule)
    if parsed is None:
        raise DataError(
            f"{shown(molecule)} is not a valid SMILES (syntax, valence or "
            "aromaticity); correct it or leave it out"
        )
    return parsed


def _heavy(molecule: Chem.Mol, name: str | None) -> Chem.Mol:
    """Without hydrogens, isotopes and atom maps."""
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() == 0 or atom.HasQuery():
            raise DataError(
                f"{_named(molecule, name)}: atom {atom.GetIdx()} is a dummy or query "
                "atom; give a molecule of known elements"
            )
        atom.SetIsotope(0)
        atom.SetAtomMapNum(0)
    try:
        heavy = Chem.RemoveAllHs(molecule)
    except ValueError as error:  # RDKit's own sanitisation errors
        raise DataError(f"{_named(molecule, name)}: {error}") from error
    if heavy.GetNumAtoms() == 0:
        raise DataError(
            f"{_named(molecule, name)}: no atom but hydrogen; hydrogens are implicit "
            "here, so a molecule needs another element"
        )
    # A centre that was one by its isotopes only is none any more.
    Chem.AssignStereochemistry(heavy, cleanIt=True, force=True)
    return heavy


def _written(heavy: Chem.Mol) -> tuple[str, Array]:
    """Canonical SMILES, and the atoms in the order in which it names them."""
    smiles: str = Chem.MolToSmiles(heavy)
    order = heavy.GetProp("_smilesAtomOutputOrder").strip("[],").split(",")
    return smiles, np.array(order, dtype=np.int64)


def _named(molecule: Chem.Mol, name: str | None) -> str:
    return repr(name if name is not None else Chem.MolToSmiles(molecule))
