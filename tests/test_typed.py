"""Plain values as dataclasses: what fits is taken, the rest named in a line."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from ase_physml.errors import DataError
from ase_physml.typed import Range, brief, build


@dataclass(frozen=True)
class Inner:
    size: Annotated[float, Range(above=0.0, below=2.0)] = 1.0


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["a", "b"] = "a"
    count: Annotated[int, Range(at_least=1, at_most=9)] = 1
    flag: bool = False
    maybe: Inner | None = None
    many: tuple[Inner, ...] = ()
    table: dict[str, float] = field(default_factory=dict)
    rest: list[Any] = field(default_factory=list)


def made(**values: Any) -> Outer:
    return build(Outer, {"name": "n", **values}, "here", DataError)


def test_values_of_the_right_types() -> None:
    found = made(
        kind="b", count="2", maybe={"size": "1e-3"}, many=[{"size": 1}], table={"x": 2},
        rest=[None, "y"],
    )  # fmt: skip
    assert found == Outer(
        "n", "b", 2, False, Inner(1e-3), (Inner(1.0),), {"x": 2.0}, [None, "y"]
    )
    assert isinstance(found.many[0].size, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": False}, "here: name: expected str, got False; YAML reads"),
        ({"name": 7}, "if it is a name, quote it"),
        ({"kind": "c"}, "here: kind must be one of 'a', 'b', got 'c'"),
        ({"kind": ["a"]}, "must be one of"),
        ({"count": True}, "expected int, got True"),
        ({"count": 2.5}, "expected int, got 2.5"),
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"count": 10}, "count must be at most 9, got 10"),
        ({"count": 10**400}, "is too large to make sense"),
        ({"maybe": {"size": float("nan")}}, "here: maybe: size: expected a finite"),
        ({"maybe": {"size": "inf"}}, "expected a finite number"),
        ({"maybe": {"size": 0}}, "size must be above 0"),
        ({"maybe": {"size": 2}}, "size must be below 2"),
        ({"maybe": {"sise": 2}}, "unknown key 'sise'; known: size"),
        ({"maybe": 3}, "expected keys and values, got 3"),
        ({"many": {"size": 1}}, "many: expected a list"),
        ({"table": {"x": "y"}}, "table: x: expected float, got 'y'"),
        ({"table": {1: 2}}, "the key 1 is no text"),
        ({"flag": "true"}, "flag: expected bool"),
    ],
)  # fmt: skip
def test_mistakes(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        made(**values)


def test_missing_key() -> None:
    with pytest.raises(DataError, match=r"here: .*'name'"):
        build(Outer, {}, "here", DataError)


def test_values_in_messages_are_short() -> None:
    nested: list[Any] = ["x" * 1000]
    for _ in range(60):
        nested = [nested] * 10
    for value in (nested, "y\n" * 1000, 10**5000, {"a": nested}):
        assert len(brief(value)) < 70
        assert "\n" not in brief(value)
