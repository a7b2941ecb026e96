"""What all architectures have in common: they go to plain types and back."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from ase_physml.errors import PotentialError


@dataclass(frozen=True)
class Architecture:
    """Base of the configurations.

    Attributes:
        of: Name of the model, for errors.
    """

    of: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Back from `to_dict`.

        Raises:
            PotentialError: An unknown or unusable value.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise PotentialError(f"not a {cls.of} architecture: {error}") from error
