"""Kinds of models, and the one table that names them.

A file, a recipe and a calculator know a model by the name of its `Architecture`. Your
own model joins by `register`, or, from an installed package, by an entry point::

    [project.entry-points."ase_physml.models"]
    morse = "my_package:MORSE"
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Annotated, Any, ClassVar, Literal, Self

from torch import nn

from ase_physml.errors import PotentialError
from ase_physml.typed import Range, build, settle

GROUP = "ase_physml.models"
"""Entry points of models that other packages bring."""

# Far beyond what anybody trains, and still built in a moment without weights.
Width = Annotated[int, Range(at_least=1, at_most=16_384)]
Layers = Annotated[int, Range(at_least=0, at_most=256)]
Steps = Annotated[int, Range(at_least=0, at_most=10_000)]
Targets = Annotated[int, Range(at_least=0, at_most=100_000)]
Dropout = Annotated[float, Range(at_least=0.0, below=1.0)]

Input = Literal["atoms", "bonds"]
"""Positions of atoms, for energies; or bonds, for conformers and properties."""


@dataclass(frozen=True)
class ModelConfig:
    """Base of the configurations: plain types, checked.

    Attributes:
        model_name: Name of the model in errors.
    """

    model_name: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    def __post_init__(self) -> None:
        """Raise a `PotentialError` if a value is not of its type or range."""
        settle(self, PotentialError)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            PotentialError: An unknown or unusable value.
        """
        where = f"not a {cls.model_name} architecture"
        return build(cls, values, where, PotentialError)


@dataclass(frozen=True)
class Architecture:
    """A kind of model.

    Attributes:
        name: Name in files and recipes.
        reads: Input of the model: "atoms" of an `EnergyModel`, "bonds" of a
            `BondedModel`.
        config: Class of its configurations.
        build: Maker of a model with random weights.
    """

    name: str
    reads: Input
    config: type[ModelConfig]
    build: Callable[[Any], nn.Module]


# Imported when they are asked for: each brings layers of its own.
_BUILT_IN = {
    "physml": "ase_physml.models.physml.model:PHYSML",
    "physchem": "ase_physml.models.physchem.model:PHYSCHEM",
    "hamnet": "ase_physml.models.hamnet.model:HAMNET",
}
_registered: dict[str, Architecture] = {}


def register(architecture: Architecture) -> None:
    """Make a model known by its name, in this process.

    Raises:
        PotentialError: The name is taken by another model.
    """
    name = architecture.name
    known = _registered.setdefault(name, architecture)
    if known != architecture or name in _BUILT_IN:
        raise PotentialError(f"a model of the name {name!r} is there already")


def architecture(name: str) -> Architecture:
    """Architecture of a name: built in, registered, or of an installed package.

    Raises:
        PotentialError: There is none.
    """
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        found: Architecture = getattr(import_module(module), attribute)
        return found
    if name in _registered:
        return _registered[name]
    if name in _installed():
        loaded: Architecture = _installed()[name].load()
        return loaded
    known = ", ".join([*_BUILT_IN, *_registered, *_installed()])
    raise PotentialError(
        f"no model of the kind {name!r}; there are {known}; import the module that "
        "registers it, or install its package"
    )


def architecture_of(config: ModelConfig) -> Architecture:
    """Architecture that a configuration is of.

    Raises:
        PotentialError: It belongs to none that is known.
    """
    for name in [*_BUILT_IN, *_registered, *_installed()]:
        if (found := architecture(name)).config is type(config):
            return found
    raise PotentialError(
        f"{type(config).__name__} belongs to no registered model; register its "
        "Architecture"
    )


@cache
def _installed() -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=GROUP)}


def build_model(kind: str, values: dict[str, Any]) -> Any:
    """A model with random weights.

    Args:
        kind: Name of its architecture.
        values: Its configuration, in plain types.

    Raises:
        PotentialError: No such kind, or an unusable configuration.
    """
    known = architecture(kind)
    return known.build(known.config.from_dict(values))
