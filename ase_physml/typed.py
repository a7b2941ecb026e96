"""Plain values, from YAML or JSON, as dataclasses: the types of fields are the schema.

A field may be None, a bool, int, float or str, a `Literal`, a dataclass, a class with
`FromPlain`'s method, or a tuple, list or dict (its keys texts) of those.
``Annotated[int, Range(at_least=1)]`` says which numbers make sense. Numbers are finite.
"""

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    Protocol,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
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
    """Numbers that make sense: those within the bounds that are given."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def mistake(self, value: float) -> str:
        """Bound that a number breaks, in words; "" if it breaks none."""
        if self.at_least is not None and value < self.at_least:
            return f"at least {self.at_least:g}"
        if self.above is not None and value <= self.above:
            return f"above {self.above:g}"
        if self.at_most is not None and value > self.at_most:
            return f"at most {self.at_most:g}"
        if self.below is not None and value >= self.below:
            return f"below {self.below:g}"
        return ""


class MisfitError(ValueError):
    """A value that its field cannot hold; the message names the field."""


@runtime_checkable
class FromPlain(Protocol):
    """A class that reads its plain values itself: its keys are not its fields."""

    @classmethod
    def from_plain(cls, values: object, where: str) -> Self:
        """Instance of plain values; raises a `MisfitError` that begins with a place."""


def build(kind: type[T], values: object, where: str, error: type[PhysMLError]) -> T:
    """A dataclass, and those within it, from a mapping.

    Texts that are numbers count as such where a number belongs: YAML 1.1 reads 1e-3 as
    a text.

    Args:
        kind: The dataclass.
        values: Plain values by the names of its fields.
        where: Place that they come from, for messages.
        error: Class of what is raised.

    Raises:
        PhysMLError: As ``error``, in one line: an unknown or missing key, a value of
            another type, or a number that makes no sense.
    """
    try:
        made: T = build_at(kind, values, where)
    except MisfitError as unfit:
        raise error(str(unfit)) from unfit
    return made


def settle(instance: object, error: type[PhysMLError]) -> None:
    """Check the fields of a dataclass in place, as of `build`: for ``__post_init__``.

    Lists become tuples and integers floats where the field is one.
    """
    kind = type(instance)
    for name, hint in _hints(kind).items():
        try:
            value = convert(hint, getattr(instance, name), name)
        except MisfitError as unfit:
            raise error(str(unfit)) from unfit
        object.__setattr__(instance, name, value)


def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {f.name: hints[f.name] for f in fields(kind)}


def build_at(kind: type[Any], values: object, where: str) -> Any:
    """Dataclass as of `build`, for what is within another; raises a `MisfitError`."""
    if not isinstance(values, Mapping):
        raise MisfitError(f"{where}: expected keys and values, got {brief(values)}")
    hints = _hints(kind)
    check_keys(values, hints, where)
    given = {k: convert(hints[k], v, f"{where}: {k}") for k, v in values.items()}
    try:
        return kind(**given)
    except TypeError as missing:
        raise MisfitError(f"{where}: {missing}") from missing


def check_keys(values: Mapping[Any, Any], known: Iterable[str], where: str) -> None:
    """Raise a `MisfitError` if one of the keys is not known."""
    names = sorted(known)
    for key in values:
        if key not in names:
            listed = ", ".join(names)
            raise MisfitError(f"{where}: unknown key {brief(key)}; known: {listed}")


def convert(hint: Any, value: Any, where: str) -> Any:
    """Value of a field, of a type hint as the module says.

    Args:
        hint: Type of the field.
        value: Plain value.
        where: Name of the field, for messages.

    Raises:
        MisfitError: The field cannot hold it.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        return _in_range(convert(arguments[0], value, where), arguments[1:], where)
    if origin is Literal:
        if isinstance(value, str) and value in arguments:
            return value
        allowed = ", ".join(repr(one) for one in arguments)
        got = brief(value) + _quote(value)
        raise MisfitError(f"{where} must be one of {allowed}, got {got}")
    if origin in (Union, UnionType):
        if value is None and type(None) in arguments:
            return None
        return convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin in (tuple, list):
        return origin(_items(arguments[0], value, where))
    if origin is dict:
        return _mapping(arguments[1], value, where)
    if isinstance(hint, type) and isinstance(value, hint) and is_dataclass(hint):
        return value
    if isinstance(hint, FromPlain):
        return hint.from_plain(value, where)
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return build_at(hint, value, where)
    if hint in (int, float):
        return _number(hint, value, where)
    return _plain(hint, value, where)


def _items(hint: Any, value: Any, where: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise MisfitError(f"{where}: expected a list, got {brief(value)}")
    return [convert(hint, item, where) for item in value]


def _mapping(hint: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise MisfitError(f"{where}: expected keys and values, got {brief(value)}")
    for key in value:
        if not isinstance(key, str):
            raise MisfitError(f"{where}: the key {brief(key)} is no text")
    return {k: convert(hint, v, f"{where}: {k}") for k, v in value.items()}


def _plain(hint: type[Any], value: Any, where: str) -> Any:
    if isinstance(value, hint):
        return value
    advice = _quote(value) if hint is str else ""
    raise MisfitError(f"{where}: expected {hint.__name__}, got {brief(value)}{advice}")


def _quote(value: Any) -> str:
    """Advice where YAML has made something else of a bare word; "" elsewhere."""
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
        raise MisfitError(f"{where}: expected {hint.__name__}, got {brief(value)}")
    if isinstance(number, int) and abs(number) > _LARGEST:
        raise MisfitError(f"{where}: {brief(value)} is too large to make sense")
    if not isfinite(number):
        raise MisfitError(f"{where}: expected a finite number, got {brief(value)}")
    return hint(number)


def _in_range(value: Any, marks: tuple[Any, ...], where: str) -> Any:
    for mark in marks:
        if isinstance(mark, Range) and (mistake := mark.mistake(value)):
            raise MisfitError(f"{where} must be {mistake}, got {brief(value)}")
    return value


def brief(value: object) -> str:
    """A value for a message: in one line, and not long whatever it holds."""
    if isinstance(value, int) and abs(value) > _LARGEST**2:
        return f"an integer of {value.bit_length()} bits"
    text = _REPR.repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
