"""Calculators from what people type: ``qm9.pt``, ``tblite:GFN2-xTB``, ``emt``, ..."""

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from ase.calculators.calculator import Calculator, get_calculator_class
from ase.calculators.names import names as names_of_ase

from ase_physml.errors import PhysMLError, PotentialError

_TBLITE_METHODS = ("GFN2-xTB", "GFN1-xTB", "IPEA1-xTB")


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
    """What `make_calculator` calls.

    Raises:
        PotentialError: There is no such method or factory.
        ImportError: No such module.
    """
    head, _, tail = name.partition(":")
    if head == "tblite":
        return _tblite(tail or _TBLITE_METHODS[0])
    if tail:
        return _from_module(head, tail)
    if head in names_of_ase:
        known: Callable[..., Any] = get_calculator_class(head)
        return known
    return partial(_potential, head)


def _potential(name: str, **options: Any) -> Calculator:
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
