"""Units of other people's files, in eV and Å."""

from dataclasses import replace

from ase import units

from ase_physml.data.columns import COLUMNS
from ase_physml.data.frame import Frame
from ase_physml.errors import DataError

_ENERGY = {
    "ev": 1.0,
    "mev": 1e-3,
    "hartree": units.Hartree,
    "ha": units.Hartree,
    "rydberg": units.Rydberg,
    "ry": units.Rydberg,
    "kcal/mol": units.kcal / units.mol,
    "kj/mol": units.kJ / units.mol,
}
_LENGTH = {
    "angstrom": 1.0,
    "ang": 1.0,
    "å": 1.0,
    "bohr": units.Bohr,
    "nm": units.nm,
}


def energy_factor(unit: str) -> float:
    """Energy of one ``unit`` in eV.

    Raises:
        DataError: Unknown unit.
    """
    return _lookup(_ENERGY, unit, "energy unit", "eV, Hartree, Rydberg, kcal/mol")


def length_factor(unit: str) -> float:
    """Length of one ``unit`` in Å.

    Raises:
        DataError: Unknown unit.
    """
    return _lookup(_LENGTH, unit, "length unit", "angstrom, bohr, nm")


def forces_factor(unit: str) -> float:
    """Force of one ``unit`` in eV/Å, for example "Hartree/bohr" or "kcal/mol/angstrom".

    Raises:
        DataError: Unknown unit.
    """
    energy, _, length = unit.rpartition("/")
    return energy_factor(energy) / length_factor(length)


def scaled(frame: Frame, energy: float, forces: float, length: float = 1.0) -> Frame:
    """Frame with every column times the factor of its unit.

    A stress is taken to be in the units of energy and length.
    """
    if energy == forces == length == 1.0:
        return frame
    factors = {
        "angstrom": length,
        "eV": energy,
        "eV/angstrom": forces,
        "eV/angstrom^3": energy / length**3,
        "e": 1.0,
        "e angstrom": length,
    }
    values = {c.field: getattr(frame, c.field) for c in COLUMNS if c.unit}
    units = {c.field: c.unit for c in COLUMNS}
    changed = {
        name: value * factors[units[name]]
        for name, value in values.items()
        if value is not None
    }
    return replace(frame, **changed)


def _lookup(table: dict[str, float], unit: str, what: str, known: str) -> float:
    try:
        return table[unit.strip().lower()]
    except KeyError:
        raise DataError(f"{what} {unit!r} is not known; use one of {known}") from None
