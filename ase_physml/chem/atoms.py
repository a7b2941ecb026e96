"""ASE structures of RDKit molecules."""

from __future__ import annotations

from ase import Atoms
from rdkit import Chem

from ase_physml.data.frame import Array


def to_atoms(molecule: Chem.Mol, positions: Array) -> Atoms:
    """A structure that says its isotopes, its charge and its unpaired electrons.

    Args:
        molecule: With explicit hydrogens.
        positions: Å (n, 3).

    Returns:
        With masses where an isotope is given, initial charges where the molecule has a
        charge, and initial magnetic moments where it has unpaired electrons.
    """
    members = list(molecule.GetAtoms())
    atoms = Atoms([atom.GetAtomicNum() for atom in members], positions)
    if any(atom.GetIsotope() for atom in members):
        masses = atoms.get_masses()
        for index, atom in enumerate(members):
            masses[index] = _mass(atom) or masses[index]
        atoms.set_masses(masses)
    if Chem.GetFormalCharge(molecule):
        atoms.set_initial_charges([atom.GetFormalCharge() for atom in members])
    unpaired = [atom.GetNumRadicalElectrons() for atom in members]
    if any(unpaired):
        atoms.set_initial_magnetic_moments(unpaired)
    return atoms


def _mass(atom: Chem.Atom) -> float:
    """Of an isotope, u, its mass number where no table has it; 0 of the element."""
    number, isotope = atom.GetAtomicNum(), atom.GetIsotope()
    table = Chem.GetPeriodicTable()
    return float(table.GetMassForIsotope(number, isotope) or isotope) if isotope else 0
