"""What a potential says of itself: architecture, domain, and measured errors."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from ase_physml.errors import PotentialError
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.typed import brief, build

# Files of one member are of version 1, committees of version 2.
FORMAT_VERSION = 2

Domain = Literal["equilibrium", "off-equilibrium"]


@dataclass(frozen=True)
class PotentialCard:
    """Metadata of a potential file, JSON throughout.

    Attributes:
        name: Short name.
        architecture: `PhysMLConfig` as a dict.
        level_of_theory: Of the training labels.
        baseline: Calculator, by name, that the potential is a correction to; "" if it
            stands alone.
        domain: "equilibrium" if every training structure was a minimum; such a
            potential has never seen a barrier.
        not_for: What it must not be used for, in a word or two each; calculators
            warn of "vibrations".
        split_hashes: Data file to the hash of the split it was trained on.
        errors: Measured errors with their units in the key, e.g. ``mae_energy_meV``.
        uncertainty: Of a committee, how its spread is to be read; see `Calibration`.
        training: Recipe, steps and anything else worth knowing.
        commit: Revision of the code that trained it.
        created: UTC time, ISO 8601.
        units: Of energies, lengths and forces.
        format_version: Of the file.
    """

    name: str
    architecture: dict[str, Any]
    level_of_theory: str
    domain: Domain
    baseline: str = ""
    not_for: list[str] = field(default_factory=list)
    split_hashes: dict[str, str] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    uncertainty: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    commit: str = ""
    created: str = ""
    units: dict[str, str] = field(
        default_factory=lambda: {
            "energy": "eV",
            "length": "angstrom",
            "forces": "eV/angstrom",
        }
    )
    format_version: int = 1

    @classmethod
    def for_model(cls, config: PhysMLConfig, **values: Any) -> "PotentialCard":
        """A card of a model of this architecture, dated now."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(architecture=config.to_dict(), **{"created": now, **values})

    @property
    def config(self) -> PhysMLConfig:
        """The architecture, checked."""
        return PhysMLConfig.from_dict(self.architecture)

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers that the potential knows."""
        return self.config.elements

    def to_json(self) -> str:
        """As JSON text; without what earlier versions do not know, if it is empty."""
        content = asdict(self)
        if not self.not_for:
            del content["not_for"]
        return json.dumps(content, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "PotentialCard":
        """From JSON text.

        Raises:
            PotentialError: Not the metadata of a potential.
        """
        card = build(cls, read_json(text), "metadata", PotentialError)
        _ = card.config  # a wrong architecture is refused here
        return card


def read_json(text: object) -> Any:
    """Metadata of a file of any format, as plain values.

    Raises:
        PotentialError: Not JSON.
    """
    if not isinstance(text, str):
        raise PotentialError(f"metadata: expected JSON, got {brief(text)}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PotentialError(f"metadata: not JSON ({error})") from error
