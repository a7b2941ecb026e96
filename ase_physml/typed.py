"""Plain values, from YAML or JSON, as dataclasses: the types of fields are the schema.

A field may be None, a bool, int, float or str, a `Literal`, a dataclass, or a tuple,
list or dict (its keys texts) of those. ``Annotated[int, Range(at_least=1)]`` says which
numbers make sense. Numbers are finite.
"""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from ase_physml.errors import PhysMLError

T = TypeVar("T")

# Beyond it, floats no longer tell integers apart; no count or seed comes near.
_LARGEST = 2**53
_SHOWN = 60
# Aliases of YAML make small files that are endless when written out.
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring = 3, _SHOWN


@dataclass(frozen=True)
class Range:
    """Which numbers make sense, in the bounds that are given."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def mistake(self, value: float) -> str:
        """What a number must be that this one is not; "" if it is all right."""
        if self.at_least is not None and value < self.at_least:
            return f"at least {self.at_least:g}"
        if self.above is not None and value <= self.above:
            return f"above {self.above:g}"
        if self.at_most is not None and value > self.at_most:
            return f"at most {self.at_most:g}"
        if self.below is not None and value >= self.below:
            return f"below {self.below:g}"
        return ""


class _MisfitError(ValueError):
    """A value that its field cannot hold."""


def build(kind: type[T], values: object, where: str, error: type[PhysMLError]) -> T:
    """A dataclass, and those within it, from a mapping.

    Texts that are numbers count as such where a number belongs: YAML 1.1 reads 1e-3 as
    a text.

    Args:
        kind: The dataclass.
        values: By the names of its fields.
        where: What they are of, for messages.
        error: What is raised.

    Raises:
        PhysMLError: As ``error``, in one line: an unknown or missing key, a value of
            another type, or a number that makes no sense.
    """
    try:
        made: T = _build(kind, values, where)
    except _MisfitError as unfit:
        raise error(str(unfit)) from unfit
    return made


def settle(instance: object, error: type[PhysMLError]) -> None:
    """Check the fields of a dataclass in place, as of `build`: for ``__post_init__``.

    Lists become tuples and integers floats where the field is one.
    """
    kind = type(instance)
    for name, hint in _hints(kind).items():
        try:
            value = _convert(hint, getattr(instance, name), name)
        except _MisfitError as unfit:
            raise error(str(unfit)) from unfit
        object.__setattr__(instance, name, value)


def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {f.name: hints[f.name] for f in fields(kind)}


def _build(kind: type[Any], values: object, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise _MisfitError(f"{where}: expected keys and values, got {brief(values)}")
    hints = _hints(kind)
    for key in values:
        if key not in hints:
            known = ", ".join(sorted(hints))
            raise _MisfitError(f"{where}: unknown key {brief(key)}; known: {known}")
    given = {k: _convert(hints[k], v, f"{where}: {k}") for k, v in values.items()}
    try:
        return kind(**given)
    except TypeError as missing:
        raise _MisfitError(f"{where}: {missing}") from missing


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        return _in_range(_convert(arguments[0], value, where), arguments[1:], where)
    if origin is Literal:
        if isinstance(value, str) and value in arguments:
            return value
        allowed = ", ".join(repr(one) for one in arguments)
        got = brief(value) + _quote(value)
        raise _MisfitError(f"{where} must be one of {allowed}, got {got}")
    if origin in (Union, UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin in (tuple, list):
        return origin(_items(arguments[0], value, where))
    if origin is dict:
        return _mapping(arguments[1], value, where)
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return value if isinstance(value, hint) else _build(hint, value, where)
    if hint in (int, float):
        return _number(hint, value, where)
    return _plain(hint, value, where)


def _items(hint: Any, value: Any, where: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise _MisfitError(f"{where}: expected a list, got {brief(value)}")
    return [_convert(hint, item, where) for item in value]


def _mapping(hint: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _MisfitError(f"{where}: expected keys and values, got {brief(value)}")
    for key in value:
        if not isinstance(key, str):
            raise _MisfitError(f"{where}: the key {brief(key)} is no text")
    return {k: _convert(hint, v, f"{where}: {k}") for k, v in value.items()}


def _plain(hint: type[Any], value: Any, where: str) -> Any:
    if isinstance(value, hint):
        return value
    advice = _quote(value) if hint is str else ""
    raise _MisfitError(f"{where}: expected {hint.__name__}, got {brief(value)}{advice}")


def _quote(value: Any) -> str:
    """What YAML has made of a bare word."""
    if isinstance(value, bool):
        return "; YAML reads on, off, yes and no as true and false: quote it"
    if value is None or isinstance(value, int | float):
        return "; if it is a name, quote it"
    return ""


def _number(hint: type[int] | type[float], value: Any, where: str) -> int | float:
    number = value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = None
    if isinstance(number, float) and hint is int and number.is_integer():
        number = int(number)
    right = isinstance(number, int) or (hint is float and isinstance(number, float))
    if not right or isinstance(number, bool):
        raise _MisfitError(f"{where}: expected {hint.__name__}, got {brief(value)}")
    if isinstance(number, int) and abs(number) > _LARGEST:
        raise _MisfitError(f"{where}: {brief(value)} is too large to make sense")
    if not isfinite(number):
        raise _MisfitError(f"{where}: expected a finite number, got {brief(value)}")
    return hint(number)


def _in_range(value: Any, marks: tuple[Any, ...], where: str) -> Any:
    for mark in marks:
        if isinstance(mark, Range) and (mistake := mark.mistake(value)):
            raise _MisfitError(f"{where} must be {mistake}, got {brief(value)}")
    return value


def brief(value: object) -> str:
    """A value for a message: in one line, and not long whatever it holds."""
    if isinstance(value, int) and abs(value) > _LARGEST**2:
        return f"an integer of {value.bit_length()} bits"
    text = _REPR.repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
