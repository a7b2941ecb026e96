"""Frames from and to ASE: the only place of the data room that knows both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

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


@dataclass(frozen=True)
class Labels:
    """Energy and forces of a structure, and the keys they were found under.

    Attributes:
        energy: In the unit of the file, or None.
        forces: (n, 3) in the unit of the file, or None.
        energy_key: Where the energy was, or None.
        forces_key: Where the forces were, or None.
    """

    energy: float | None = None
    forces: Array | None = None
    energy_key: str | None = None
    forces_key: str | None = None


def find_labels(
    atoms: Atoms, energy_key: str | None = None, forces_key: str | None = None
) -> Labels:
    """Labels among the calculator's stored results, ``info`` and ``arrays``.

    Nothing is calculated. ``REF_energy``, ``dft_forces`` and the like come before
    ``energy`` and ``forces``, which ASE's readers turn into results.

    Args:
        atoms: As ASE read it.
        energy_key: Take this one; "" takes none, None searches.
        forces_key: The same for forces.

    Raises:
        DataError: A key that was asked for is not there, or is not a number.
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
    )


def from_atoms(atoms: Atoms, labels: Labels | None = None) -> Frame:
    """A frame of a structure.

    Args:
        atoms: Structure; its cell is kept if it has one, and which atoms `FixAtoms`
            holds.
        labels: Energy and forces; those that `find_labels` finds if None.
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
    )


def to_atoms(frame: Frame, *, labels: bool = True) -> Atoms:
    """An ASE structure, with the labels as results of a single-point calculator.

    Atoms that were held are by `FixAtoms` again.

    Args:
        frame: Any frame.
        labels: Attach energy and forces.
    """
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
    if frame.fixed is not None:
        atoms.set_constraint(FixAtoms(mask=frame.fixed))
    for key in ("name", "smiles"):
        if getattr(frame, key):
            atoms.info[key] = getattr(frame, key)
    if labels and (frame.energy is not None or frame.forces is not None):
        atoms.calc = SinglePointCalculator(
            atoms, energy=frame.energy, forces=frame.forces
        )
    return atoms


def _fixed(atoms: Atoms) -> Array | None:
    """Which atoms are held in all directions, None if none is."""
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


def _info(atoms: Atoms, keys: tuple[str, ...]) -> str | None:
    return next((str(atoms.info[key]) for key in keys if key in atoms.info), None)
