"""What all architectures have in common: they go to plain types and back."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, get_args

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

    def check_choices(self, choices: dict[str, Any]) -> None:
        """Raise a `PotentialError` if a field is none of its Literal's values.

        Args:
            choices: Literal types by the name of the field.
        """
        for name, kind in choices.items():
            if getattr(self, name) not in get_args(kind):
                allowed = ", ".join(repr(value) for value in get_args(kind))
                raise PotentialError(
                    f"{name} must be one of {allowed}, got {getattr(self, name)!r}"
                )

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
