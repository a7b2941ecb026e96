"""What all architectures have in common: they go to plain types and back."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Self

from ase_physml.errors import PotentialError
from ase_physml.typed import Range, build, settle

# Far beyond what anybody trains, and still built in a moment without weights.
Width = Annotated[int, Range(at_least=1, at_most=16_384)]
Layers = Annotated[int, Range(at_least=0, at_most=256)]
Steps = Annotated[int, Range(at_least=0, at_most=10_000)]
Targets = Annotated[int, Range(at_least=0, at_most=100_000)]
Dropout = Annotated[float, Range(at_least=0.0, below=1.0)]


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

    def __post_init__(self) -> None:
        """Raise a `PotentialError` if a value is not of its type or range."""
        settle(self, PotentialError)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Back from `to_dict`.

        Raises:
            PotentialError: An unknown or unusable value.
        """
        return build(cls, values, f"not a {cls.of} architecture", PotentialError)
