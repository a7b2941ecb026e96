"""Recipes: what all of them share, read from YAML, overridden as ``key=value``."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import yaml

from ase_physml import typed
from ase_physml.errors import RecipeError
from ase_physml.training.losses.loss import Losses, Weight
from ase_physml.typed import Range, brief

_SHOWN = 300

Count = Annotated[int, Range(at_least=1)]
Natural = Annotated[int, Range(at_least=0)]
Positive = Annotated[float, Range(above=0.0)]
Share = Annotated[float, Range(at_least=0.0, at_most=1.0)]
PositiveShare = Annotated[float, Range(above=0.0, at_most=1.0)]
# What all generators of random numbers take.
Seed = Annotated[int, Range(at_least=0, below=2**32)]


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """Everything that a training run depends on: the part that all models share.

    Attributes:
        name: Folder and file name of the result.
        start_from: Potential or model, shipped or a file, whose weights training starts
            from.
        batch_size: Structures per step, in all processes together.
        steps_per_epoch: Steps between validations and checkpoints, of which all steps
            are a multiple.
        validate: Structures of the validation at most.
        weight_decay: Decoupled weight decay of the optimizer.
        clip: Largest norm of the gradient.
        ema: Decay of the averaged weights, which are what is saved.
        patience: Epochs without a better validation before stopping early; null never
            stops.
        seed: Seed of weights, batches and noise.
    """

    kind: ClassVar[str]

    name: str
    start_from: str | None = None
    batch_size: Count = 32
    steps_per_epoch: Count = 500
    validate: Natural = 1000
    weight_decay: Weight = 0.0
    clip: Positive = 10.0
    ema: Annotated[float, Range(at_least=0.0, below=1.0)] = 0.999
    patience: Count | None = None
    seed: Seed = 0

    @classmethod
    def from_values(cls, values: dict[str, Any], path: Path) -> Self:
        """Recipe of what `read_recipe` found in a file.

        Raises:
            RecipeError: An unknown key, a value of the wrong type, a number that makes
                no sense, or a name that cannot be that of a file.
        """
        recipe = typed.build(cls, values, str(path), RecipeError)
        name = recipe.name
        if name != Path(name).name or not name.strip() or not name.isprintable():
            raise RecipeError(
                f"{path}: name {name!r} is also that of a folder and a file: no slashes"
            )
        for reason in recipe.mistakes():
            raise RecipeError(f"{path}: {reason}")
        return recipe

    @property
    @abstractmethod
    def total_steps(self) -> int:
        """Optimizer steps."""

    @property
    @abstractmethod
    def peak(self) -> float:
        """Learning rate of which `schedule` is a part."""

    @abstractmethod
    def schedule(self, step: int) -> float:
        """Learning rate of a step, as a part of `peak`."""

    @abstractmethod
    def losses_at(self, step: int) -> Losses[Any]:
        """Losses of an optimizer step."""

    @abstractmethod
    def mistakes(self, processes: int = 1) -> Iterator[str]:
        """Reasons why it cannot be trained, by so many processes together."""

    def to_dict(self) -> dict[str, Any]:
        """Plain YAML types."""
        return {f.name: plain(getattr(self, f.name)) for f in fields(self)}

    def default_of(self, key: str) -> Any:
        """Plain default of a key such as "model.width"; None if it has none."""
        *parents, last = key.split(".")
        node: Any = self
        for parent in parents:
            if isinstance(node, Sequence):
                node = node[int(parent)]
            else:
                node = getattr(node, parent, None)
        if not is_dataclass(node):
            return None
        defaults = {f.name: f.default for f in fields(node)}
        found = defaults.get(last, MISSING)
        return None if found is MISSING else plain(found)


def warm_cosine(step: int, steps: int, warmup: int, final: float) -> float:
    """Learning rate as a part of its peak: linear warm-up, then a cosine.

    Args:
        step: Step, from 0.
        steps: Steps of the whole stretch.
        warmup: Steps of the warm-up.
        final: Part that is left at the end.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    falling = 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
    return final + (1.0 - final) * falling


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Values of a recipe, after ``key=value`` overrides (``model.width=64``).

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


def plain(value: Any) -> Any:
    """Value in YAML types: dataclasses become dicts, tuples lists."""
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def find(name: str, recipe: Path) -> Path:
    """Path named in a recipe: from the working directory or beside the recipe.

    Raises:
        RecipeError: There is no such file.
    """
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
