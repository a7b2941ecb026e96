"""Frames from and to ASE."""

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator

from ase_physml.data.frame import Array, Frame

# In order of preference: REF_ keys survive every version of ASE's extxyz reader.
ENERGY_KEYS = ("REF_energy", "ref_energy", "dft_energy", "DFT_energy", "energy")
FORCES_KEYS = ("REF_forces", "ref_forces", "dft_forces", "DFT_forces", "forces")


def from_atoms(atoms: Atoms) -> tuple[Frame, dict[str, str]]:
    """A frame, and where its labels came from.

    Labels under ``REF_`` keys come before results of the attached calculator.

    Returns:
        The frame, and for "energy" and "forces" the key or "calculator".
    """
    found: dict[str, str] = {}
    energy = _labelled(atoms.info, ENERGY_KEYS, found, "energy")
    forces = _labelled(atoms.arrays, FORCES_KEYS, found, "forces")
    if energy is None:
        energy = _calculated(atoms, "energy", found)
    if forces is None:
        forces = _calculated(atoms, "forces", found)
    periodic = bool(atoms.pbc.any())
    name = atoms.info.get("name", atoms.info.get("config_type"))
    smiles = atoms.info.get("smiles")
    frame = Frame(
        numbers=atoms.numbers.astype(np.uint8),
        positions=atoms.positions.copy(),
        energy=None if energy is None else float(energy),
        forces=None if forces is None else np.asarray(forces, dtype=np.float64),
        cell=atoms.cell.array.copy() if periodic else None,
        pbc=atoms.pbc.copy() if periodic else None,
        name=None if name is None else str(name),
        smiles=None if smiles is None else str(smiles),
    )
    return frame, found


def to_atoms(frame: Frame) -> Atoms:
    """ASE structure with the labels as results of a single-point calculator."""
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
    for key in ("name", "smiles"):
        if getattr(frame, key):
            atoms.info[key] = getattr(frame, key)
    if frame.energy is not None or frame.forces is not None:
        atoms.calc = SinglePointCalculator(
            atoms, energy=frame.energy, forces=frame.forces
        )
    return atoms


def _labelled(
    values: Mapping[str, Array], keys: tuple[str, ...], found: dict[str, str], what: str
) -> Array | None:
    for key in keys:
        if key in values:
            found[what] = key
            return values[key]
    return None


def _calculated(atoms: Atoms, what: str, found: dict[str, str]) -> Array | None:
    if atoms.calc is None:
        return None
    try:
        value: Array | None = atoms.calc.get_property(what, atoms, False)
    except PropertyNotImplementedError:
        return None
    if value is not None:
        found[what] = "calculator"
    return value
