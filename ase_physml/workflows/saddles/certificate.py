"""Certificates of saddles: what is proven, and what is not.

PASS: forces below the threshold, exactly one imaginary mode, and the steepest descents
end in the minima of the reaction. WARN: a saddle of the reaction, with something to
read beside its barrier. FAIL: none, or one of another reaction, which is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from ase_physml.chem.bonds import bonded_pairs, perceive_bonds
from ase_physml.data.conversion import Labels, from_atoms
from ase_physml.workflows.alignment import placement_of, rmsd, shifts
from ase_physml.workflows.saddles.descent import Descent
from ase_physml.workflows.saddles.eigenvector_following import Climb
from ase_physml.workflows.vibrations.normal_modes import Vibrations

Grade = Literal["PASS", "WARN", "FAIL"]

# Å; what has the same bonds and lies nearer is the same minimum.
_SAME = 0.3
# Å; of what cannot be turned, of the atom furthest off.
_SAME_PLACE = 0.5
_MAX_NAMED = 60


@dataclass(frozen=True)
class Certificate:
    """Certificate of a saddle.

    Attributes:
        grade: PASS, WARN or FAIL.
        reasons: Why it is no PASS; of one that passed what it joins.
        joins: Whether it joins the ends of its reaction, or, where none were given,
            two minima.
        minima: Names of the two minima that it joins, the reactant's side first; ""
            where none was reached.
        swapped: Whether the first way down led to the product's side.
    """

    grade: Grade
    reasons: tuple[str, ...]
    joins: bool = False
    minima: tuple[str, str] = ("", "")
    swapped: bool = False

    @property
    def reason(self) -> str:
        """The reasons in one line."""
        return "; ".join(self.reasons)


def certify(
    top: Climb,
    vibrations: Vibrations,
    sides: Sequence[Descent],
    ends: tuple[Atoms, Atoms] | None,
    imaginary: float,
) -> Certificate:
    """Judge a saddle.

    Args:
        top: Walk that led to it.
        vibrations: Its vibrations.
        sides: Ways down to both sides; none where it is no saddle.
        ends: Reactant and product, or None.
        imaginary: Frequency of the mode of a saddle, cm-1.
    """
    if not top.converged:
        return Certificate(
            "FAIL",
            (
                f"no saddle: {top.forces[-1]:.3f} eV/Å are left after "
                f"{len(top.forces) - 1} steps",
            ),
        )
    strong = vibrations.frequencies < -imaginary
    if not strong.any():
        return Certificate(
            "FAIL", (f"no saddle: no imaginary mode above {imaginary:g} cm-1",)
        )
    if strong.sum() > 1:
        return Certificate(
            "FAIL", (f"no simple saddle: {strong.sum()} imaginary modes",)
        )
    warnings = _doubts(vibrations, sides)
    names = name_of(sides[0].minimum), name_of(sides[1].minimum)
    if ends is None:
        return _of_guess(sides, names, warnings)
    return _of_reaction(sides, names, ends, warnings)


def _doubts(vibrations: Vibrations, sides: Sequence[Descent]) -> list[str]:
    said = []
    weak = vibrations.frequencies[1:][vibrations.frequencies[1:] < 0.0]
    if len(weak):
        named = ", ".join(f"{-one:.0f}i" for one in weak)
        said.append(f"{len(weak)} more imaginary mode, of {named} cm-1")
    left = sum(not side.converged for side in sides)
    if left:
        said.append(f"{left} of 2 descents ended before the minimum")
    return said


def _of_guess(
    sides: Sequence[Descent], names: tuple[str, str], warnings: list[str]
) -> Certificate:
    if is_same(sides[0].minimum, sides[1].minimum):
        return Certificate(
            "FAIL", (f"both ways lead to one minimum, {names[0]}",), False, names
        )
    joined = (f"joins {names[0]} and {names[1]}",)
    grade: Grade = "WARN" if warnings else "PASS"
    return Certificate(grade, (*warnings, *joined), True, names)


def _of_reaction(
    sides: Sequence[Descent],
    names: tuple[str, str],
    ends: tuple[Atoms, Atoms],
    warnings: list[str],
) -> Certificate:
    minima = sides[0].minimum, sides[1].minimum
    straight, crossed = _fit(minima, ends), _fit((minima[1], minima[0]), ends)
    swapped = crossed > straight
    if swapped:
        minima, names = (minima[1], minima[0]), (names[1], names[0])
    roles = ("reactant", "product")
    bonds = [has_bonds_of(one, end) for one, end in zip(minima, ends, strict=True)]
    if not all(bonds):
        return Certificate(
            "FAIL", (_joined(names, ends, minima),), False, names, swapped
        )
    others = [
        f"leads to another conformer of the {role}, {_apart(one, end):.2f} Å from it"
        for role, one, end in zip(roles, minima, ends, strict=True)
        if not is_same(one, end)
    ]
    if is_same(*minima):
        return Certificate(
            "FAIL",
            (f"both ways lead to one minimum, {names[0]}",),
            False,
            names,
            swapped,
        )
    warnings = [*warnings, *others]
    if warnings:
        return Certificate("WARN", tuple(warnings), True, names, swapped)
    return Certificate("PASS", ("joins reactant and product",), True, names, swapped)


def _fit(minima: tuple[Atoms, Atoms], ends: tuple[Atoms, Atoms]) -> tuple[int, float]:
    """How well minima are ends: first how many by their bonds, then by distance."""
    pairs = list(zip(minima, ends, strict=True))
    bonds = sum(has_bonds_of(one, end) for one, end in pairs)
    return bonds, -sum(_apart(one, end) for one, end in pairs)


def _joined(
    names: tuple[str, str], ends: tuple[Atoms, Atoms], minima: tuple[Atoms, Atoms]
) -> str:
    """Text of what a saddle joins, where that is another reaction."""
    said = []
    for name, minimum in zip(names, minima, strict=True):
        roles = [
            role
            for role, end in zip(("the reactant", "the product"), ends, strict=True)
            if has_bonds_of(minimum, end)
        ]
        said.append(roles[0] if roles else name)
    if said[0] == said[1]:
        return f"another reaction: both ways lead to {said[0]}"
    return f"another reaction: joins {said[0]} and {said[1]}"


def has_bonds_of(atoms: Atoms, other: Atoms) -> bool:
    """Whether two structures have the same bonds; in cells, whether they are near."""
    if atoms.pbc.any():
        return is_same(atoms, other)
    return bonded_pairs(atoms) == bonded_pairs(other)


def is_same(atoms: Atoms, other: Atoms) -> bool:
    """Whether two minima of the same atoms are one."""
    if not placement_of(atoms).aligned:
        return _apart(atoms, other) < _SAME_PLACE
    same = bonded_pairs(atoms) == bonded_pairs(other)
    return same and _apart(atoms, other) < _SAME


def _apart(atoms: Atoms, other: Atoms) -> float:
    """Distance of two structures: RMSD, or, of what may not be turned, the largest."""
    if placement_of(atoms).aligned:
        return rmsd(atoms.positions, other.positions)
    return float(np.linalg.norm(shifts(other, atoms), axis=1).max())


def name_of(atoms: Atoms) -> str:
    """SMILES of a molecule, or the formula of what has none."""
    formula = str(atoms.get_chemical_formula())
    if atoms.pbc.any():
        return formula
    try:
        found = perceive_bonds(from_atoms(atoms, Labels()))
        with BlockLogs():  # of lone hydrogens, which stay
            smiles = str(Chem.MolToSmiles(Chem.RemoveHs(found)))
    except Exception:
        # RDKit raises anything; a radical or a cluster has no SMILES.
        return formula
    return smiles if len(smiles) < _MAX_NAMED else formula
