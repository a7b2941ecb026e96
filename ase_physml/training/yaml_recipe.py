"""Recipes as typed dataclasses: read from YAML, overridden as ``key=value``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ase_physml import typed
from ase_physml.errors import RecipeError
from ase_physml.typed import brief

T = TypeVar("T")

_SHOWN = 300


def read(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a recipe and apply ``key=value`` overrides (``model.width=64``).

    Raises:
        RecipeError: The file is missing, is not a mapping, or an override does not fit.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such recipe") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a readable recipe ({error})") from error
    values = _parsed(text, str(path))
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of keys to values")
    for override in overrides:
        _apply(values, override)
    values.setdefault("name", path.stem)
    return values


def _parsed(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        said = " ".join(str(error).split())[:_SHOWN]
        raise RecipeError(f"{where}: not valid YAML: {said}") from error


def build(kind: type[T], values: object, path: Path) -> T:
    """A recipe, and the dataclasses in it, from what `read` found.

    Raises:
        RecipeError: An unknown key, a value of the wrong type, a number that makes no
            sense, or a name that cannot be that of a file.
    """
    recipe = typed.build(kind, values, str(path), RecipeError)
    name = getattr(recipe, "name", "")
    if name != Path(name).name or not name.strip() or not name.isprintable():
        raise RecipeError(
            f"{path}: name {name!r} is also that of a folder and a file: no slashes"
        )
    return recipe


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
    said = f"override {brief(override)}"
    if not separator:
        raise RecipeError(f"{said} is not of the form key=value")
    *parents, last = key.split(".")
    node: Any = values
    for parent in parents:
        if isinstance(node, list):
            node = node[_position(parent, node, said)]
        elif isinstance(node, dict):
            node = node.setdefault(parent, {})
        else:
            break
    value = _parsed(text, said)
    if isinstance(node, list):
        node[_position(last, node, said)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise RecipeError(f"{said}: {'.'.join(parents)} has no keys")


def _position(text: str, node: list[Any], said: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:9]) >= len(node):
        raise RecipeError(f"{said}: {text} is not a position 0..{len(node) - 1}")
    return int(text[:9])
