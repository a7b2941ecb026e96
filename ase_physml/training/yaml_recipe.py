"""Recipes as typed dataclasses: read from YAML, overridden as ``key=value``."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from ase_physml.errors import RecipeError


def read(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a recipe and apply ``key=value`` overrides (``model.width=64``).

    Raises:
        RecipeError: The file is missing, is not a mapping, or an override does not fit.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such recipe") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of keys to values")
    for override in overrides:
        _apply(values, override)
    values.setdefault("name", path.stem)
    return values


def plain(value: Any) -> Any:
    """Tuples to lists, for YAML and JSON."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def find(name: str, recipe: Path) -> Path:
    """A path named in a recipe: from the working directory or beside the recipe."""
    candidates = [Path(name), recipe.parent / name, recipe.parent.parent / name]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise RecipeError(
        f"{recipe}: {name} does not exist here nor beside the recipe; "
        "set it with a key=value override, for example sources.0.path=FILE"
    )


def _apply(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator:
        raise RecipeError(f"override {override!r} is not of the form key=value")
    *parents, last = key.split(".")
    node: Any = values
    for parent in parents:
        if isinstance(node, list):
            node = node[_position(parent, node, override)]
        else:
            node = node.setdefault(parent, {})
    if isinstance(node, list):
        node[_position(last, node, override)] = yaml.safe_load(text)
    elif isinstance(node, dict):
        node[last] = _number(yaml.safe_load(text))
    else:
        raise RecipeError(f"override {override!r}: {'.'.join(parents)} has no keys")


def _position(text: str, node: list[Any], override: str) -> int:
    if not text.isdigit() or int(text) >= len(node):
        raise RecipeError(
            f"override {override!r}: {text} is not a position 0..{len(node) - 1}"
        )
    return int(text)


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-3 as a string; people mean the number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def build(kind: type[Any], values: Any, where: str) -> Any:
    """A dataclass, and those within it, from a mapping.

    Raises:
        RecipeError: An unknown key, or a value of the wrong type.
    """
    if not isinstance(values, dict):
        raise RecipeError(f"{where}: expected keys and values, got {values!r}")
    hints = get_type_hints(kind)
    known = {f.name for f in fields(kind)}
    for key in values:
        if key not in known:
            raise RecipeError(
                f"{where}: unknown key {key!r}; known: {', '.join(sorted(known))}"
            )
    try:
        return kind(
            **{k: _convert(hints[k], v, f"{where}: {k}") for k, v in values.items()}
        )
    except TypeError as error:
        raise RecipeError(f"{where}: {error}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return build(hint, value, where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise RecipeError(f"{where}: expected a list, got {value!r}")
        return tuple(_convert(arguments[0], v, where) for v in value)
    value = _number(value) if hint is float else value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(hint, type) and (
        not isinstance(value, hint) or (hint is int and isinstance(value, bool))
    ):
        raise RecipeError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value
