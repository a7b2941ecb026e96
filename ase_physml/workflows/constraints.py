"""Constraints of the two ends of a path: compared, and refused by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from ase_physml.data.frame import Array
from ase_physml.errors import StructureError

# Å; ends are relaxed apart, and files round.
_HELD = 0.01
_DIGITS = 6

# About one atom each, whatever list they come in.
_OF_ATOMS = ("FixAtoms", "FixCartesian", "FixScaled", "FixedPlane", "FixedLine")
# That extended XYZ keeps.
_KEPT_BY_FILES = ("FixAtoms", "FixCartesian")
# About distances and angles between atoms: turning all atoms changes nothing.
_INTERNAL = ("FixBondLengths", "FixInternals", "FixLinearTriatomic", "ExternalForce")


def names_of(atoms: Atoms) -> str:
    """Kinds of constraints of a structure, "" if there are none."""
    return ", ".join(dict.fromkeys(type(one).__name__ for one in atoms.constraints))


def holds_in_space(constraint: Any) -> bool:
    """Whether turning and shifting all atoms together would break a constraint."""
    name = type(constraint).__name__
    if name == "Hookean":
        # Else its other end is a point or a plane.
        return not isinstance(constraint.todict()["kwargs"]["a2"], int | np.integer)
    return name not in _INTERNAL


def check_kept(atoms: Atoms) -> None:
    """Refuse constraints that files of structures would lose.

    Raises:
        StructureError: Naming them.
    """
    names = [type(one).__name__ for one in atoms.constraints]
    lost = [name for name in names if name not in _KEPT_BY_FILES]
    if lost:
        raise StructureError(
            f"the files of a pathway do not keep {', '.join(lost)}; relax the ends and "
            "search between them with find_paths, or physml neb"
        )


def check_same_constraints(reactant: Atoms, product: Atoms) -> None:
    """Refuse ends of different constraints.

    Raises:
        StructureError: Naming those that only one end has.
    """
    one, other = _parts(reactant), _parts(product)
    if one == other:
        return
    only = [_named(some) for some in (one - other, other - one)]
    raise StructureError(
        "the ends have different constraints: only the reactant has "
        f"{only[0]}, only the product {only[1]}; give both the same"
    )


def check_allowed(reactant: Atoms, shifts: Array) -> None:
    """Refuse ends between which the constraints allow no path.

    Args:
        reactant: Structure of one end.
        shifts: Displacements from it to the other, (N, 3), Å.

    Raises:
        StructureError: Naming the atom, and how far it would have to move.
    """
    if not reactant.constraints:
        return
    trial, goal = reactant.copy(), reactant.positions + shifts
    try:
        trial.set_positions(goal, apply_constraint=True)
    except Exception as error:
        # Constraints raise anything where they cannot be met.
        raise StructureError(
            f"the constraints ({names_of(reactant)}) of the ends cannot be met on the "
            f"way from one to the other: {error}"
        ) from error
    left = np.linalg.norm(trial.positions - goal, axis=1)
    worst = int(left.argmax())
    if left[worst] > _HELD:
        raise StructureError(
            f"the constraints ({names_of(reactant)}) allow no path between the ends: "
            f"atom {worst} ({reactant.symbols[worst]}) would have to leave them by "
            f"{left[worst]:.2f} Å; put what is held in the same place in both"
        )


def _parts(atoms: Atoms) -> set[tuple[Any, ...]]:
    """Constraints that can be compared, those about single atoms atom by atom."""
    found: set[tuple[Any, ...]] = set()
    for one in atoms.constraints:
        name = type(one).__name__
        try:
            about = dict(one.todict()["kwargs"])
        except Exception:
            about = dict(vars(one))
        key = "indices" if "indices" in about else "a"
        if name not in _OF_ATOMS or key not in about:
            found.add((name, _plain(about)))
            continue
        for index in np.atleast_1d(about.pop(key)):
            found |= _of_atom(name, int(index), about)
    return found


def _of_atom(name: str, index: int, about: dict[str, Any]) -> set[tuple[Any, ...]]:
    if name == "FixCartesian":
        # As extended XYZ gives it, to every atom.
        if not any(about["mask"]):
            return set()
        if all(about["mask"]):
            return {("FixAtoms", index, ())}
    return {(name, index, _plain(about))}


def _plain(value: Any) -> Any:
    """Tuples, numbers and texts: equal where the values are, and hashable."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return tuple(sorted((str(k), _plain(v)) for k, v in value.items()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(map(_plain, value))
    if isinstance(value, int | float | np.number):
        return round(float(value), _DIGITS)
    return str(value)


def _named(parts: set[tuple[Any, ...]]) -> str:
    of_atoms: dict[str, list[int]] = {}
    for name, index, *_ in parts:
        places = of_atoms.setdefault(name, [])
        if isinstance(index, int):
            places.append(index)
    texts = [
        name + (f" of atoms {', '.join(map(str, sorted(set(at))[:8]))}" if at else "")
        for name, at in sorted(of_atoms.items())
    ]
    return " and ".join(texts) or "none"
