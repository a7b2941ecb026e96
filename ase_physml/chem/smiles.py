"""Molecules of RDKit: from SMILES, with hydrogens and positions, to structures of ASE.

Whatever SMILES people give are parsed here.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from ase import Atoms
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from ase_physml.data.frame import Array
from ase_physml.errors import DataError

_LONGEST = 10_000
_SHOWN = 200
# What ChemAxon's extension says of polymers and of bonds that may be elsewhere.
_OPEN = re.compile(r"\|(?:[^|]*,)?(?:Sg|SgD|m|LN):")


def shown(smiles: str) -> str:
    """SMILES in quotes for messages, cut if it is long."""
    return repr(smiles if len(smiles) <= _SHOWN else smiles[: _SHOWN - 3] + "...")


def parse_smiles(smiles: str, parameters: Any = None) -> Chem.Mol | None:
    """Molecule of a SMILES, None where RDKit finds none; its complaints stay silent.

    Args:
        smiles: SMILES, perhaps with ChemAxon's extension in bars, whose radicals and
            stereochemistry count.
        parameters: RDKit's ``SmilesParserParams``; its defaults if None.

    Raises:
        DataError: Characters that no SMILES has (RDKit would stop before them), a
            polymer, or longer than 10,000 characters.
    """
    text = smiles.strip()
    if not (text.isascii() and text.replace("\t", " ").isprintable()):
        raise DataError(
            f"{text[:60]!a} holds characters that no SMILES has; correct it or "
            "leave it out"
        )
    if len(text) > _LONGEST:
        raise DataError(
            f"a SMILES of {len(text):,} characters ({text[:20]}...); longer than "
            f"{_LONGEST:,} are not read"
        )
    if _OPEN.search(text):
        raise DataError(
            f"{shown(text)} is a polymer or has bonds that may be elsewhere; write one "
            "molecule"
        )
    # Its stubs know no None.
    given: Any = Chem.SmilesParserParams() if parameters is None else parameters
    with BlockLogs():
        molecule: Chem.Mol | None = Chem.MolFromSmiles(text, given)
    return molecule


def invalid(smiles: str) -> DataError:
    """Error that says that a text is no valid SMILES."""
    return DataError(
        f"{shown(smiles)} is not a valid SMILES (syntax, valence or aromaticity); "
        "correct it or leave it out"
    )


def with_hydrogens(smiles: str) -> Chem.Mol:
    """Molecule of a SMILES; heavy atoms keep its order, hydrogens come after them.

    Raises:
        DataError: Not a valid SMILES, or several molecules.
    """
    molecule = parse_smiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise invalid(smiles)
    if len(Chem.GetMolFrags(molecule)) > 1:
        raise DataError(
            f"{smiles}: several molecules, as in a salt, have no conformation of "
            "their own; give them one by one"
        )
    return Chem.AddHs(molecule)


def heavy_atoms(molecule: Chem.Mol) -> Array:
    """Indices of all atoms but hydrogens, ascending, int64 (n,)."""
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    return np.flatnonzero(numbers != 1)


def with_positions(molecule: Chem.Mol, positions: Array) -> Chem.Mol:
    """Copy of a molecule with positions, Å (N, 3), as its only conformer."""
    copy = Chem.Mol(molecule)
    copy.RemoveAllConformers()
    conformer = Chem.Conformer(copy.GetNumAtoms())
    conformer.SetPositions(np.ascontiguousarray(positions, dtype=np.float64))
    copy.AddConformer(conformer)
    return copy


def structure_of(molecule: Chem.Mol, positions: Array) -> Atoms:
    """ASE structure that says its isotopes, its charge and its unpaired electrons.

    Args:
        molecule: RDKit molecule with explicit hydrogens.
        positions: Positions of all atoms, Å (N, 3).

    Returns:
        Structure with masses where an isotope is given, initial charges where the
        molecule has a charge, and initial magnetic moments where it has unpaired
        electrons.
    """
    members = list(molecule.GetAtoms())
    atoms = Atoms([atom.GetAtomicNum() for atom in members], positions)
    if any(atom.GetIsotope() for atom in members):
        masses = atoms.get_masses()
        for index, atom in enumerate(members):
            masses[index] = _isotope_mass(atom) or masses[index]
        atoms.set_masses(masses)
    if Chem.GetFormalCharge(molecule):
        atoms.set_initial_charges([atom.GetFormalCharge() for atom in members])
    unpaired = [atom.GetNumRadicalElectrons() for atom in members]
    if any(unpaired):
        atoms.set_initial_magnetic_moments(unpaired)
    return atoms


def _isotope_mass(atom: Chem.Atom) -> float:
    """Mass of an isotope, u; its mass number where no table has it, 0 without one."""
    number, isotope = atom.GetAtomicNum(), atom.GetIsotope()
    table = Chem.GetPeriodicTable()
    return float(table.GetMassForIsotope(number, isotope) or isotope) if isotope else 0
