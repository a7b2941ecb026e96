"""Calculators from what people give: ``qm9.pt``, ``tblite:GFN2-xTB``, ``emt``, ...

`as_calculator` is for every function that takes a calculator: a name will do there, and
what no calculator is, or computes no forces, is refused by its name.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from ase.calculators.calculator import Calculator, get_calculator_class
from ase.calculators.names import names as names_of_ase
from ase.calculators.singlepoint import SinglePointCalculator

from ase_physml.errors import PhysMLError, PotentialError

_TBLITE_METHODS = ("GFN2-xTB", "GFN1-xTB", "IPEA1-xTB")

CalculatorLike = Calculator | str | Path | Sequence[str | Path]
"""A calculator of ASE's, or what `make_calculator` makes one of; names of several
potentials are a committee."""


def as_calculator(
    given: object, needs: Sequence[str] = ("energy", "forces")
) -> Calculator:
    """A calculator, by name or as it is.

    Args:
        given: A `CalculatorLike`; anything else is refused.
        needs: Properties that it must be able to compute.

    Raises:
        PotentialError: No calculator, or one that cannot compute what is needed.
    """
    if isinstance(given, str | Path):
        return as_calculator(make_calculator(str(given)), needs)
    if isinstance(given, list | tuple) and _are_names(given):
        return _potential(given)
    kind = given.__name__ if isinstance(given, type) else type(given).__name__
    if isinstance(given, type) or not hasattr(given, "get_property"):
        what = f"the class {kind}" if isinstance(given, type) else f"{given!r:.60}"
        raise PotentialError(
            f"{what} is no calculator; give one of ASE's, such as PhysMLCalculator("
            "'qm9.pt') or EMT(), or a name: 'qm9.pt', 'tblite:GFN2-xTB', 'emt'"
        )
    if isinstance(given, SinglePointCalculator):
        raise PotentialError(
            f"{kind} only keeps results that were read from a file; give a calculator "
            "that computes, or its name"
        )
    can = getattr(given, "implemented_properties", needs)
    missing = [name for name in needs if name not in can]
    if missing:
        raise PotentialError(
            f"{kind} computes no {' and no '.join(missing)}, which are needed here"
        )
    return cast(Calculator, given)


def _are_names(given: Sequence[object]) -> bool:
    return bool(given) and all(isinstance(one, str | Path) for one in given)


def name_of(calculator: Calculator) -> str:
    """Name of a calculator in tables and files."""
    name = getattr(calculator, "potential", None) or getattr(calculator, "name", None)
    return str(name or type(calculator).__name__)


def is_potential(name: str) -> bool:
    """A name that stands for a potential of ours, shipped or in a file."""
    if name in (*names_of_ase, "tblite"):
        return False
    return ":" not in name or Path(name).is_file()


def level_of(name: str) -> str | None:
    """Level of theory that a potential's card states; None of other calculators.

    Raises:
        PotentialError: As of `resolve`.
    """
    if not is_potential(name):
        return None
    from ase_physml.store.checkpoint import load_potentials
    from ase_physml.store.registry import resolve

    _, card = load_potentials(resolve(name))
    return card.level_of_theory or None


def make_calculator(name: str, **options: Any) -> Calculator:
    """Build an ASE calculator.

    Args:
        name: A potential (``*.pt`` or a shipped name), ``tblite:METHOD``, a name that
            ASE knows (``emt``), or ``module:factory``, where the module may lie in the
            current folder and the factory takes no argument.
        **options: Passed on to the calculator.

    Raises:
        PotentialError: The name, module, factory or package is not there, or refuses
            to build a calculator.
    """
    head, _, tail = name.partition(":")
    try:
        calculator: Calculator = factory_of(name)(**options)
    except PhysMLError:
        raise
    except ImportError as error:
        hint = "; pip install 'ase-physml[xtb]'" if head == "tblite" else ""
        raise PotentialError(f"calculator {name!r}: {error}{hint}") from error
    except Exception as error:
        # Factories raise anything.
        raise PotentialError(
            f"calculator {name!r} cannot be built ({type(error).__name__}: {error})"
        ) from error
    if not hasattr(calculator, "get_property"):
        raise PotentialError(
            f"calculator {name!r}: {tail} returned {type(calculator).__name__}, not "
            "an ASE calculator"
        )
    return calculator


def factory_of(name: str) -> Callable[..., Any]:
    """Factory behind a name, for `make_calculator`.

    Raises:
        PotentialError: There is no such method or factory.
        ImportError: No such module.
    """
    if is_potential(name):
        return partial(_potential, name)
    head, _, tail = name.partition(":")
    if head == "tblite":
        return _tblite(tail or _TBLITE_METHODS[0])
    if tail:
        return _from_module(head, tail)
    if head not in names_of_ase:
        return partial(_potential, name)
    known: Callable[..., Any] = get_calculator_class(head)
    return known


def _potential(name: str | Sequence[str | Path], **options: Any) -> Calculator:
    from ase_physml.calculators.physml import PhysMLCalculator

    try:
        return PhysMLCalculator(name, **options)
    except PotentialError as error:
        raise PotentialError(
            f"{error} (a calculator is a potential such as qm9.pt, tblite:GFN2-xTB, a "
            "name of ASE's such as emt, or module:factory)"
        ) from error


def _tblite(method: str) -> Callable[..., Any]:
    from tblite.ase import TBLite

    if method not in _TBLITE_METHODS:
        raise PotentialError(
            f"tblite has no method {method!r}; use one of {', '.join(_TBLITE_METHODS)}"
        )
    return partial(TBLite, method=method, verbosity=0)


def _from_module(module: str, factory: str) -> Callable[..., Any]:
    here = str(Path.cwd())
    # Installed commands do not look into the current folder by themselves.
    if here not in sys.path:
        sys.path.append(here)
    found = getattr(import_module(module), factory, None)
    if not callable(found):
        raise PotentialError(f"module {module!r} has no function {factory!r}")
    return cast(Callable[..., Any], found)
