"""What a calculator refuses, and what it says: which atom, and what to do."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from scipy.spatial import cKDTree

from ase_physml.errors import StructureError

# Closer than this, two atoms are one by mistake: the shortest bond, H2, is 0.74 Å.
COINCIDENT = 1e-2


def check_structure(atoms: Atoms, elements: Sequence[int], name: str) -> None:
    """Refuse what a molecular potential cannot treat.

    Args:
        atoms: Structure.
        elements: Atomic numbers that the potential knows.
        name: Of the potential, for messages.

    Raises:
        StructureError: No atoms, unknown elements, positions that are not finite, two
            atoms in one place, or a periodic cell.
    """
    if len(atoms) == 0:
        raise StructureError("the structure has no atoms")
    _check_elements(atoms, elements, name)
    wrong = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(wrong):
        raise StructureError(
            f"the position of atom {_label(atoms, wrong[0])} is "
            f"{atoms.positions[wrong[0]]}; an earlier step went wrong (too large a "
            "time step, or atoms on top of each other)"
        )
    if atoms.pbc.any():
        raise StructureError(
            f"{name} treats molecules, but the structure is periodic along "
            f"{[axis for axis, p in zip('abc', atoms.pbc, strict=True) if p]}; set "
            "atoms.pbc = False if it is a molecule in a box"
        )
    _check_distances(atoms)


def _check_elements(atoms: Atoms, elements: Sequence[int], name: str) -> None:
    unknown = np.flatnonzero(~np.isin(atoms.numbers, elements))
    if len(unknown):
        listed = ", ".join(_label(atoms, i) for i in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        known = ", ".join(chemical_symbols[z] for z in elements)
        raise StructureError(
            f"{name} knows {known}, not the element of atom {listed}{more}; use a "
            "potential that was trained with it, or fine-tune one"
        )


def _check_distances(atoms: Atoms) -> None:
    if len(atoms) < 2:
        return
    pairs = cKDTree(atoms.positions).query_pairs(COINCIDENT, output_type="ndarray")
    if len(pairs):
        i, j = pairs[0]
        distance = float(np.linalg.norm(atoms.positions[i] - atoms.positions[j]))
        raise StructureError(
            f"atoms {_label(atoms, i)} and {_label(atoms, j)} coincide ({distance:.1e} "
            "Å apart); remove one of them or separate them"
        )


def charge_and_spin(atoms: Atoms, charge: float, spin: float) -> tuple[float, float]:
    """Total charge (e) and multiplicity 2S+1 that a structure asks for.

    ``atoms.info["charge"]`` and ``["spin"]`` come first, then ASE's initial charges and
    magnetic moments, then the calculator's own.
    """
    charges, moments = atoms.get_initial_charges(), atoms.get_initial_magnetic_moments()
    if "charge" in atoms.info:
        charge = float(atoms.info["charge"])
    elif charges.any():
        charge = float(charges.sum())
    if "spin" in atoms.info:
        spin = float(atoms.info["spin"])
    elif moments.any():
        spin = abs(float(moments.sum())) + 1.0
    return charge, spin


def check_neutral_singlet(atoms: Atoms, charge: float, spin: float, name: str) -> None:
    """Refuse charged and open-shell input.

    Raises:
        StructureError: Naming the charge or multiplicity, and where it came from.
    """
    charge, spin = charge_and_spin(atoms, charge, spin)
    if abs(charge) > 1e-6:
        raise StructureError(
            f"{name} was trained on neutral molecules, but the total charge is "
            f"{charge:+g} (atoms.info['charge'], initial charges or the calculator's "
            "charge=); neutralise the molecule or use a method for ions"
        )
    if abs(spin - 1.0) > 1e-6:
        raise StructureError(
            f"{name} was trained on closed-shell molecules, but the multiplicity is "
            f"{spin:g} (atoms.info['spin'], initial magnetic moments or the "
            "calculator's spin=); use a method for open shells"
        )


def _label(atoms: Atoms, index: int) -> str:
    return f"{index} ({atoms[index].symbol})"
