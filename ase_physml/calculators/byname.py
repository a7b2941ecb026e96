"""Calculators from what people type: ``qm9.pt``, ``tblite:GFN2-xTB``, ``emt``, ..."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from ase.calculators.calculator import Calculator, get_calculator_class
from ase.calculators.calculator import names as _OF_ASE  # noqa: N812

from ase_physml.errors import PhysMLError


def make_calculator(name: str, **options: Any) -> Calculator:
    """Build an ASE calculator.

    Args:
        name: A potential (``*.pt`` or a shipped name), ``tblite:METHOD``, a name ASE
            knows (``emt``), or ``module:factory``.
        **options: Passed on.

    Raises:
        PhysMLError: The name, module or package is not there.
    """
    head, _, tail = name.partition(":")
    try:
        calculator: Calculator = _factory(head, tail)(**options)
    except ImportError as error:
        hint = "; pip install 'ase-physml[xtb]'" if head == "tblite" else ""
        raise PhysMLError(f"calculator {name!r}: {error}{hint}") from error
    except AttributeError as error:
        raise PhysMLError(f"calculator {name!r}: {error}") from error
    return calculator


def _factory(head: str, tail: str) -> Callable[..., Calculator]:
    if head == "tblite":
        from tblite.ase import TBLite

        return partial(TBLite, method=tail or "GFN2-xTB", verbosity=0)
    if tail:
        factory: Callable[..., Calculator] = getattr(import_module(head), tail)
        return factory
    if head in _OF_ASE:
        known: Callable[..., Calculator] = get_calculator_class(head)
        return known
    from ase_physml.calculators.physml import PhysMLCalculator

    return partial(PhysMLCalculator, head)
