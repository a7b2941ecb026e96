"""Certificates of saddles: what is proven, and what is not.

PASS: forces below the threshold, exactly one imaginary mode, and the steepest descents
end in the minima of the reaction. WARN: a saddle of the reaction, with something to
read beside its barrier. FAIL: none, or one of another reaction, which is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ase import Atoms

from ase_physml.workflows.saddles.descent import Descent
from ase_physml.workflows.saddles.eigenvector_following import Climb
from ase_physml.workflows.saddles.minima import (
    distance,
    has_bonds_of,
    is_same,
    name_of,
)
from ase_physml.workflows.vibrations.normal_modes import Vibrations

Grade = Literal["PASS", "WARN", "FAIL"]

ROLES = ("reactant", "product")
"""Names of the ends of a reaction."""


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
        others: Ends, 0 the reactant and 1 the product, of which another conformer was
            reached.
        connected: Whether no way from reactant to product need be higher than it: each
            minimum is the end or turns into it below the saddle.
    """

    grade: Grade
    reasons: tuple[str, ...]
    joins: bool = False
    minima: tuple[str, str] = ("", "")
    swapped: bool = False
    others: tuple[int, ...] = ()
    connected: bool = False

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
    bonds = [has_bonds_of(one, end) for one, end in zip(minima, ends, strict=True)]
    if not all(bonds):
        return Certificate(
            "FAIL", (_joined(names, ends, minima),), False, names, swapped
        )
    others = [k for k in range(2) if not is_same(minima[k], ends[k], turned=True)]
    if is_same(*minima):
        reason = f"both ways lead to one minimum, {names[0]}"
        return Certificate("FAIL", (reason,), False, names, swapped)
    warnings = warnings + [
        f"leads to another conformer of the {ROLES[k]}, "
        f"{distance(minima[k], ends[k], turned=True):.2f} Å from it"
        for k in others
    ]
    return Certificate(
        "WARN" if warnings else "PASS",
        tuple(warnings) or ("joins reactant and product",),
        True,
        names,
        swapped,
        tuple(others),
        not others,
    )


def _fit(minima: tuple[Atoms, Atoms], ends: tuple[Atoms, Atoms]) -> tuple[int, float]:
    """How well minima are ends: first how many by their bonds, then by distance."""
    pairs = list(zip(minima, ends, strict=True))
    bonds = sum(has_bonds_of(one, end) for one, end in pairs)
    return bonds, -sum(distance(one, end) for one, end in pairs)


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
