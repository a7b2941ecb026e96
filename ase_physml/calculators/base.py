"""Base of our calculators: nothing that they are told is overlooked."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from numbers import Real
from typing import Any, Generic, TypeVar, overload

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.outputs import Properties, all_outputs

from ase_physml.charges import is_silent, multiplicity, total_charge
from ase_physml.errors import PotentialError

T = TypeVar("T")

_NOTHING = np.zeros(0)


class Parameter(Generic[T]):
    """An attribute of a `ParametricCalculator` that may be changed, by `set` too.

    Args:
        check: Returns the value as it is kept, or raises `ValueError` with what it
            must be.
    """

    def __init__(self, check: Callable[[Any], T]) -> None:
        self.check = check
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, calculator: None, owner: type) -> Parameter[T]: ...
    @overload
    def __get__(self, calculator: Calculator, owner: type) -> T: ...
    def __get__(self, calculator: Calculator | None, owner: type) -> Parameter[T] | T:
        if calculator is None:
            return self
        value: T = calculator.parameters[self.name]
        return value

    def __set__(self, calculator: Calculator, value: T) -> None:
        calculator.set(**{self.name: value})


class ParametricCalculator(Calculator):
    """A calculator of ASE that honours its parameters or refuses them.

    Results hold for one set of parameters, and for the charge and multiplicity that the
    structure states, wherever it does.
    """

    discard_results_on_any_change = True

    @classmethod
    def settable(cls) -> dict[str, Parameter[Any]]:
        """Parameters that may be changed, by name."""
        found = ((k, v) for one in reversed(cls.__mro__) for k, v in vars(one).items())
        return {name: value for name, value in found if isinstance(value, Parameter)}

    def set(self, **changes: Any) -> dict[str, Any]:
        """Change parameters; results that were computed with others are forgotten.

        Returns:
            Those that have changed.

        Raises:
            PotentialError: There is no such parameter, or it cannot have this value.
        """
        known = self.settable()
        for name, value in changes.items():
            if name not in known:
                raise PotentialError(
                    f"{type(self).__name__} has no {name!r} to set; there are "
                    f"{', '.join(known)}, and all else is for a new calculator"
                )
            try:
                changes[name] = known[name].check(value)
            except ValueError as error:
                raise PotentialError(f"{name} must be {error}, got {value!r}") from None
        changed: dict[str, Any] = super().set(**changes)
        return changed

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """ASE's comparison, and what the structure states of its electrons."""
        changes = self._moves(atoms)
        if changes is None:
            changes = list(super().check_state(atoms, tol=tol))
        elif is_silent(atoms) and self.atoms is not None and is_silent(self.atoms):
            return changes  # arrays are as they were
        if self.atoms is not None:
            stated = (total_charge, multiplicity)
            changes += [s.__name__ for s in stated if s(self.atoms) != s(atoms)]
        return changes

    def _moves(self, atoms: Atoms) -> list[str] | None:
        """Change of the positions alone, the most frequent one; None: ASE shall look.

        ASE compares within a tolerance, which takes as long as a small evaluation.
        """
        if self.atoms is None or len(self.atoms) != len(atoms):
            return None
        ours, theirs = self.atoms.arrays, atoms.arrays
        for name in ("numbers", "initial_charges", "initial_magmoms"):
            if not np.array_equal(ours.get(name, _NOTHING), theirs.get(name, _NOTHING)):
                return None
        for one, other in (
            (self.atoms.cell.array, atoms.cell.array),
            (self.atoms.pbc, atoms.pbc),
        ):
            if not np.array_equal(one, other):
                return None
        same = np.array_equal(ours["positions"], theirs["positions"])
        return [] if same else ["positions"]

    def export_properties(self) -> Properties:
        """ASE's export, of what ASE knows: it stumbles over anything else."""
        return Properties({k: v for k, v in self.results.items() if k in all_outputs})


def number(value: Any) -> float:
    """A finite number, as it is."""
    if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
        raise ValueError("a number")
    return value  # type: ignore[return-value]


def positive(value: Any) -> float:
    """A number above 0."""
    if not number(value) > 0:
        raise ValueError("above 0")
    return float(value)


def truth(value: Any) -> bool:
    """True or False."""
    if value not in (True, False):
        raise ValueError("True or False")
    return bool(value)
