"""Card of a model: architecture, domain and measured errors, in JSON."""

import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from ase_physml.errors import PotentialError
from ase_physml.models.architecture import (
    Architecture,
    ModelConfig,
    architecture,
    architecture_of,
)
from ase_physml.models.property_head import Head
from ase_physml.typed import brief, build

# Files of one member are of version 1, ensembles of version 2.
FORMAT_VERSION = 2

Domain = Literal["equilibrium", "off-equilibrium"]

_PHYSML = "physml"
# Cards of energy models had no place for it, nor need one while they are of PhysML.
_OF_ENERGIES = {"energy": "eV", "length": "angstrom", "forces": "eV/angstrom"}


@dataclass(frozen=True)
class ModelCard:
    """Metadata of a model file, JSON throughout.

    Attributes:
        name: Short name.
        architecture: Configuration of the model as a dict.
        kind: Name of the `Architecture`.
        level_of_theory: Level of theory of the training labels; "" of models of bonds.
        baseline: Calculator, by name, that a potential is a correction to; "" if it
            stands alone.
        domain: "equilibrium" if every training structure was a minimum, or near one;
            such a potential has never seen a barrier.
        shortest: Shortest distance of two elements in its training structures, Å, by
            their symbols ("H-C"); empty if that is not known.
        not_for: Uses that it is not fit for, in a word or two each; calculators warn of
            "vibrations".
        target_names: Names of the properties it predicts; none for conformations alone.
        task: "regression", "classification" or "multiclass", of the properties.
        unit: Unit of the properties.
        elements: Symbols of the heavy atoms that a model of bonds was trained on, and
            "others"; empty if that is not known. Of an energy model see `numbers`.
        order: Order of atoms in the bonded graphs it was trained on, and must read.
        split_hashes: Data file to the hash of the split it was trained on.
        errors: Measured errors with their units in the key, e.g. ``mae_energy_meV``.
        uncertainty: Scale of an ensemble's spread; see `Calibration`.
        training: Recipe, steps and anything else worth knowing.
        commit: Revision of the code that trained it.
        created: UTC time, ISO 8601.
        units: Units of energies, lengths and forces.
        format_version: Version of the file.
    """

    name: str
    architecture: dict[str, Any]
    kind: str = _PHYSML
    level_of_theory: str = ""
    baseline: str = ""
    domain: Domain = "equilibrium"
    shortest: dict[str, float] = field(default_factory=dict)
    not_for: list[str] = field(default_factory=list)
    target_names: list[str] = field(default_factory=list)
    task: Head = "regression"
    unit: str = ""
    elements: list[str] = field(default_factory=list)
    order: str = "smiles"
    split_hashes: dict[str, str] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    uncertainty: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    commit: str = ""
    created: str = ""
    units: dict[str, str] = field(default_factory=lambda: dict(_OF_ENERGIES))
    format_version: int = 1

    @classmethod
    def for_model(cls, config: ModelConfig, **values: Any) -> "ModelCard":
        """A card of a model of this configuration, dated now."""
        kind = architecture_of(config).name
        now = datetime.now(UTC).isoformat(timespec="seconds")
        about = {"kind": kind, "created": now, **values}
        return cls(architecture=config.to_dict(), **about)

    @property
    def model(self) -> Architecture:
        """Kind of the model.

        Raises:
            PotentialError: It is not known here.
        """
        return architecture(self.kind)

    @property
    def config(self) -> Any:
        """Configuration of the model, checked."""
        return self.model.config.from_dict(self.architecture)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers that an energy model knows."""
        known: tuple[int, ...] = self.config.elements
        return known

    def to_json(self) -> str:
        """JSON text, without what is empty and was unknown to the first versions."""
        always = {*_REQUIRED[self.model.reads], "format_version", "created"}
        content = {
            key: value
            for key, value in asdict(self).items()
            if key in always or value != _EMPTY[key]
        }
        if self.kind == _PHYSML:
            content.pop("kind", None)
        return json.dumps(content, sort_keys=True)

    @classmethod
    def from_json(cls, text: object) -> "ModelCard":
        """Inverse of `to_json`.

        Raises:
            PotentialError: Not the metadata of a model.
        """
        values = read_json(text)
        card = build(cls, values, "metadata", PotentialError)
        missing = _REQUIRED[card.model.reads] - set(values)
        if missing:
            raise PotentialError(f"metadata: {', '.join(sorted(missing))} missing")
        _ = card.config  # a wrong architecture is refused here
        return card


_REQUIRED = {
    "atoms": {"name", "architecture", "level_of_theory", "domain"},
    "bonds": {"name", "architecture", "kind"},
}
_EMPTY: dict[str, Any] = {
    f.name: f.default_factory() if f.default_factory is not MISSING else f.default
    for f in fields(ModelCard)
}


def read_json(text: object) -> Any:
    """Metadata of a file, as plain values.

    Raises:
        PotentialError: Not JSON.
    """
    if not isinstance(text, str):
        raise PotentialError(f"metadata: expected JSON, got {brief(text)}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PotentialError(f"metadata: not JSON ({error})") from error
