"""Conversion of frames from and to ASE: no other module of the room knows both."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from ase_physml.data.columns import COLUMNS, Column
from ase_physml.data.frame import Array, Frame
from ase_physml.errors import DataError

# In order of preference, compared without case. Labels that somebody named on purpose
# come before whatever calculator happened to be attached when the file was written.
_PREFIXES = ("ref", "dft", "qm", "target", "label")
ENERGY_KEYS = (
    *(f"{p}_energy" for p in _PREFIXES),
    *(f"energy_{p}" for p in _PREFIXES),
    "energy",
    "total_energy",
    "free_energy",
)
FORCES_KEYS = (
    *(f"{p}_{f}" for p in _PREFIXES for f in ("forces", "force")),
    *(f"{f}_{p}" for p in _PREFIXES for f in ("forces", "force")),
    "forces",
    "force",
)
# Shapes that a stress may have; of six, in Voigt's order.
_STRESSES = ((6,), (9,), (3, 3))


@dataclass(frozen=True)
class Labels:
    """Labels of a structure, and the keys they were found under.

    Attributes:
        energy: Energy in the unit of the file, or None.
        forces: Forces (n, 3) in the unit of the file, or None.
        energy_key: Key of the energy, or None.
        forces_key: Key of the forces, or None.
        stress: Stress (3, 3) in the unit of the file, or None.
    """

    energy: float | None = None
    forces: Array | None = None
    energy_key: str | None = None
    forces_key: str | None = None
    stress: Array | None = None


def find_labels(
    atoms: Atoms, energy_key: str | None = None, forces_key: str | None = None
) -> Labels:
    """Labels among the calculator's stored results, ``info`` and ``arrays``.

    Nothing is calculated. ``REF_energy``, ``dft_forces`` and the like come before
    ``energy`` and ``forces``, which ASE's readers turn into results. A stress is taken
    from beside the energy, or the forces where there is none: ``REF_stress`` with
    ``REF_energy``, ``stress`` with ``energy``.

    Args:
        atoms: Structure as ASE read it.
        energy_key: Key to take; "" takes none, None searches.
        forces_key: Key of the forces, likewise.

    Raises:
        DataError: A key that was asked for is not there, or is not a number; a stress
            that is neither six numbers nor three by three.
    """
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    pool = {**results, **atoms.info}
    energy_key = _choose(pool, energy_key, ENERGY_KEYS)
    pool_of_forces = {**pool, **atoms.arrays}
    forces_key = _choose(pool_of_forces, forces_key, FORCES_KEYS)
    return Labels(
        energy=None if energy_key is None else _scalar(pool, energy_key),
        forces=None if forces_key is None else _vectors(pool_of_forces, forces_key),
        energy_key=energy_key,
        forces_key=forces_key,
        stress=_stress(atoms, pool, energy_key or forces_key),
    )


def has_stress(atoms: Atoms) -> bool:
    """True if it is periodic, and its lattice vectors span a volume to divide by."""
    cell = atoms.cell.array
    return bool(atoms.pbc.any()) and bool(np.linalg.matrix_rank(cell) == 3)


def result_of(column: Column, atoms: Atoms, results: Mapping[str, Any]) -> Any:
    """Result of a calculator as a column holds it.

    Args:
        column: Column that is called as the result.
        atoms: Structure.
        results: Results of a calculator of ASE's; a stress may be in Voigt's order.

    Returns:
        Array or number of float64; None where there is none, where it is of another
        shape or not finite, or where it means nothing for this structure.
    """
    values = results.get(column.name)
    if values is None or (column.of_cells and not has_stress(atoms)):
        return None
    values = np.array(values, dtype=np.float64)
    if column.name == "stress" and values.shape in _STRESSES:
        values = _full(values)
    if column.problem(values, len(atoms)) is not None:
        return None
    return values if values.ndim else float(values)


def from_atoms(atoms: Atoms, labels: Labels | None = None) -> Frame:
    """Frame of a structure.

    Args:
        atoms: Structure; its cell is kept if it has one, and which atoms `FixAtoms`
            holds.
        labels: Labels; those that `find_labels` finds if None.
    """
    labels = find_labels(atoms) if labels is None else labels
    has_cell = bool(atoms.cell.array.any())
    return Frame(
        numbers=atoms.numbers.copy(),
        positions=atoms.positions.copy(),
        energy=labels.energy,
        forces=labels.forces,
        cell=atoms.cell.array.copy() if has_cell else None,
        pbc=atoms.pbc.copy() if has_cell else None,
        name=_info(atoms, ("name", "id", "label", "config_type")),
        smiles=_info(atoms, ("smiles", "SMILES")),
        fixed=_fixed(atoms),
        stress=labels.stress,
    )


def to_atoms(frame: Frame, *, labels: bool = True) -> Atoms:
    """Structure of ASE's, with the labels as results of a single-point calculator.

    Atoms that were held are by `FixAtoms` again.

    Args:
        frame: Frame to convert.
        labels: Attach energy, forces and stress.
    """
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
    if frame.fixed is not None:
        atoms.set_constraint(FixAtoms(mask=frame.fixed))
    for key in ("name", "smiles"):
        if getattr(frame, key):
            atoms.info[key] = getattr(frame, key)
    results = {c.name: getattr(frame, c.field) for c in COLUMNS if c.adds}
    if labels and any(value is not None for value in results.values()):
        if frame.stress is not None:
            results["stress"] = full_3x3_to_voigt_6_stress(frame.stress)
        atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def _fixed(atoms: Atoms) -> Array | None:
    """Mask (n,) of atoms held in all directions, None if none is."""
    held = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            held[constraint.index] = True
    return held if held.any() else None


def _choose(
    pool: Mapping[str, Any], asked: str | None, preferred: tuple[str, ...]
) -> str | None:
    if asked == "":
        return None
    if asked is not None:
        if asked not in pool:
            known = ", ".join(sorted(pool)) or "nothing"
            raise DataError(f"no key {asked!r}; the structure has {known}")
        return asked
    by_lower = {key.lower(): key for key in pool if pool[key] is not None}
    return next((by_lower[key] for key in preferred if key in by_lower), None)


def _scalar(pool: Mapping[str, Any], key: str) -> float:
    try:
        return float(np.asarray(pool[key], dtype=np.float64).reshape(()))
    except (TypeError, ValueError) as error:
        raise DataError(f"{key!r} is {pool[key]!r}, not one number") from error


def _vectors(pool: Mapping[str, Any], key: str) -> Array:
    try:
        return np.array(pool[key], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{key!r} does not hold one vector per atom") from error


def _stress(atoms: Atoms, pool: Mapping[str, Any], beside: str | None) -> Array | None:
    """Stress of the same method as the label beside it: another would be worse."""
    key = None if beside is None else _stress_key(pool, beside)
    if key is None or not has_stress(atoms):
        return None
    values = _vectors(pool, key)
    if values.shape not in _STRESSES:
        raise DataError(f"{key!r} is not a stress, of six numbers or three by three")
    return None if np.isnan(values).any() else _full(values)


def _full(stress: Array) -> Array:
    """Stress of any of the shapes as (3, 3)."""
    if stress.size == 6:
        return np.asarray(voigt_6_to_full_3x3_stress(stress))
    return stress.reshape(3, 3)


def _stress_key(pool: Mapping[str, Any], beside: str) -> str | None:
    """Key of the stress that belongs to an energy or forces, None without one."""
    label = beside.lower()
    wanted = "stress"
    if label not in ("energy", "total_energy", "free_energy", "forces", "force"):
        wanted = re.sub("energy|forces|force", "stress", label)
    if wanted == label:
        return None
    return next((k for k in pool if k.lower() == wanted and pool[k] is not None), None)


def _info(atoms: Atoms, keys: tuple[str, ...]) -> str | None:
    return next((str(atoms.info[key]) for key in keys if key in atoms.info), None)
