"""Metadata of a set: origin and meaning of its numbers, as attributes of its file."""

import json
from dataclasses import dataclass, field, fields
from typing import Any

from ase_physml.data.columns import UNITS, text
from ase_physml.errors import DataError

# HDF5 refuses larger attributes with a message that nobody understands.
_LARGEST_ATTRIBUTE = 60_000


@dataclass(frozen=True)
class Metadata:
    """Origin of a set, and meaning of its numbers.

    Attributes:
        level_of_theory: Method and basis of the labels.
        energy_kind: Kind of the energies, such as "total electronic energy".
        equilibrium: Flag that all frames are minima; None if nobody said.
        source: Citation or origin.
        baseline: Calculator whose energies and forces came off the labels, by name; ""
            for labels that are whole.
        extra: Further facts that JSON can hold.
    """

    level_of_theory: str = ""
    energy_kind: str = "total energy"
    equilibrium: bool | None = None
    source: str = ""
    baseline: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def relative(self) -> bool:
        """True if energies mean something within a molecule or reaction only."""
        return self.energy_kind.startswith("relative")

    def to_attributes(self) -> dict[str, Any]:
        """Attributes of an HDF5 file, units included.

        Raises:
            DataError: ``extra`` is too large for an attribute.
        """
        attributes: dict[str, Any] = {
            **UNITS,
            "level_of_theory": self.level_of_theory,
            "energy_kind": self.energy_kind,
            "source": self.source,
        }
        if self.equilibrium is not None:
            attributes["equilibrium"] = self.equilibrium
        if self.baseline:
            attributes["baseline"] = self.baseline
        if self.extra:
            attributes["extra"] = json.dumps(self.extra)
            if len(attributes["extra"]) > _LARGEST_ATTRIBUTE:
                raise DataError("Metadata.extra is above 60 kB; keep it in a file")
        return attributes

    @classmethod
    def from_attributes(cls, attributes: dict[str, Any]) -> "Metadata":
        """Metadata of the attributes of an HDF5 file; unknown ones go to ``extra``."""
        known = {*UNITS, *(f.name for f in fields(cls))}
        extra = {k: text(v) for k, v in attributes.items() if k not in known}
        if "extra" in attributes:
            extra |= _parsed(text(attributes["extra"]))
        flag = attributes.get("equilibrium")
        return cls(
            level_of_theory=text(attributes.get("level_of_theory", "")),
            energy_kind=text(attributes.get("energy_kind", "total energy")),
            equilibrium=None if flag is None else bool(flag),
            source=text(attributes.get("source", "")),
            baseline=text(attributes.get("baseline", "")),
            extra=extra,
        )


def _parsed(extra: str) -> dict[str, Any]:
    """Facts that we wrote as JSON; text of someone else's stays text."""
    try:
        content = json.loads(extra)
    except ValueError:
        content = extra
    return content if isinstance(content, dict) else {"extra": content}
