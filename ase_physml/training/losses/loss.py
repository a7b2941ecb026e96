"""Base of losses, their registry, and the losses of a recipe.

A loss is a frozen dataclass: a weight, and settings of its own if it has any. Calling
it with the context of a batch gives its mean. Those of this package are registered
where they are defined; a package of your own names its classes as entry points of the
group ``ase_physml.losses``, by the keys that recipes shall call them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Self, TypeVar

from torch import Tensor

from ase_physml.training.distributed import Mean
from ase_physml.typed import MisfitError, Range, brief, build_at, check_keys, convert

if TYPE_CHECKING:
    from ase_physml.training.batches import Batch
    from ase_physml.training.molecular_module import MoleculeContext
    from ase_physml.training.physml_module import FrameContext

GROUP = "ase_physml.losses"
Weight = Annotated[float, Range(at_least=0.0)]
L = TypeVar("L", bound="Loss")


@dataclass(frozen=True)
class Loss(ABC):
    """Base of losses, of `FrameLoss` and `MoleculeLoss`.

    Attributes:
        name: Key in recipes, and name in the log.
        labels: Columns of the data that it learns from; none if structures will do.
        reads: Answers of the model that it reads.
        default: Weight where a recipe does not say.
        always: Recipes keep its weight where it is 0, too. Losses that came later are
            then left out, so that runs from before them resume.
        weight: Factor of it in the sum of losses; with 0 it is left out, and its cost.
    """

    name: ClassVar[str]
    labels: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[frozenset[str]] = frozenset()
    default: ClassVar[float] = 0.0
    always: ClassVar[bool] = True

    weight: Weight = 0.0

    def applies(self, batch: Any) -> bool:
        """True if there is anything in a batch that it could learn from."""
        return True

    @abstractmethod
    def __call__(self, context: Any) -> Mean | Tensor | None:
        """Loss of a batch, without its weight.

        Returns:
            A mean, and of how many it is that; or a number alone, which is taken for
            the mean over structures; None where nothing of the batch counts.
        """

    def mistakes(self, recipe: Any, processes: int) -> Iterator[str]:
        """Reasons why a recipe with this loss cannot be trained.

        Args:
            recipe: All of it.
            processes: How many train together.
        """
        return iter(())

    def to_plain(self) -> float | dict[str, Any]:
        """Value in a recipe: the weight alone, if there is nothing else to say."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        alone = replace(type(self)(), weight=self.weight) == self
        return self.weight if alone else values


@dataclass(frozen=True)
class FrameLoss(Loss):
    """Base of losses of potentials: of structures, their energies and forces.

    What it reads is any of "energies", "forces", "stress" and "charges".

    Attributes:
        displaces: It looks at structures that noise has displaced.
        needs_labels: A recipe none of whose sets has its labels is refused.
        metric: Name of its absolute errors in validations, "" for none.
        unit: Unit of them.
    """

    registered: ClassVar[dict[str, type["FrameLoss"]]] = {}
    displaces: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = True
    metric: ClassVar[str] = ""
    unit: ClassVar[str] = ""

    @abstractmethod
    def __call__(self, context: "FrameContext") -> Mean | Tensor | None:
        """Loss of a batch; see `Loss`."""

    def applies(self, batch: "Batch") -> bool:
        """True if there is anything in a batch that it could learn from."""
        return True

    def errors(self, context: "FrameContext") -> Tensor:
        """Absolute errors of a validation batch that it applies to, of any shape."""
        raise NotImplementedError


@dataclass(frozen=True)
class MoleculeLoss(Loss):
    """Base of losses of PhysChem and HamNet: of conformations and properties.

    What it reads is any of "trajectory", "distances" and "property"; its labels are
    "positions" or "targets".
    """

    registered: ClassVar[dict[str, type["MoleculeLoss"]]] = {}

    @abstractmethod
    def __call__(self, context: "MoleculeContext") -> Mean | Tensor | None:
        """Loss of a batch; see `Loss`."""


def register(loss: type[L]) -> type[L]:
    """Decorator of a loss class: recipes may name it.

    Raises:
        ValueError: Another class has its name.
    """
    known: dict[str, type[L]] = getattr(loss, "registered")  # noqa: B009
    if known.setdefault(loss.name, loss) is not loss:
        raise ValueError(f"there is a loss {loss.name!r} already")
    return loss


@dataclass(frozen=True)
class Losses(Generic[L]):
    """Losses of a recipe, in the order of their registration.

    In a recipe they are a mapping of names to weights, or to the weight and settings of
    a loss that has some. Fields of a subclass are settings that several losses share.

    Attributes:
        each: Those with a weight.
    """

    family: ClassVar[type[Any]]

    each: tuple[L, ...] = ()

    @classmethod
    def from_weights(cls, **values: Any) -> Self:
        """Losses by name, as in a recipe.

        Raises:
            ValueError: As of `from_plain`.
        """
        return cls.from_plain(values, "losses")

    @classmethod
    def from_plain(cls, values: object, where: str) -> Self:
        """Losses of a mapping in a recipe.

        Raises:
            MisfitError: No such loss, or a weight or setting that makes no sense.
        """
        if isinstance(values, cls):
            return values
        if not isinstance(values, Mapping):
            raise MisfitError(f"{where}: expected keys and values, got {brief(values)}")
        shared = {f.name for f in fields(cls)} - {"each"}
        known = cls.family.registered
        added = [name for name in values if name not in known and name not in shared]
        others = {p.name: p for p in entry_points(group=GROUP)} if added else {}
        check_keys(values, {*shared, *known, *others}, where)
        settings = {name: values[name] for name in values if name in shared}
        each = []
        # In one order, however a recipe lists them: sums of floats depend on it.
        for name in [*known, *added]:
            loss = known.get(name) or cls._load(others[name], where)
            given = values.get(name, loss.default)
            each.append(_instance(loss, given, f"{where}: {name}"))
        made: Self = build_at(cls, settings, where)
        return replace(made, each=tuple(loss for loss in each if loss.weight))

    @classmethod
    def _load(cls, point: EntryPoint, where: str) -> type[Any]:
        """Class of an entry point.

        Raises:
            MisfitError: It cannot be imported, or is no loss of such recipes.
        """
        try:
            loss = point.load()
        except Exception as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            raise MisfitError(
                f"{where}: the loss {point.name!r}, {point.value}, cannot be imported "
                f"({said})"
            ) from error
        if not (isinstance(loss, type) and issubclass(loss, cls.family)):
            raise MisfitError(
                f"{where}: {point.name!r}, {point.value}, is no {cls.family.__name__}"
            )
        if getattr(loss, "name", "") != point.name:
            raise MisfitError(
                f"{where}: {point.value} has to have the name of its entry point, "
                f"{point.name!r}"
            )
        return loss

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each loss by its name."""
        return {loss.name: loss.weight for loss in self.each}

    def read(self, what: str) -> bool:
        """True if some loss reads this answer of the model."""
        return any(what in loss.reads for loss in self.each)

    def learn_from(self, label: str) -> bool:
        """True if some loss learns from this column of the data."""
        return any(label in loss.labels for loss in self.each)

    def terms(self, context: Any) -> dict[str, Mean]:
        """Means of a batch by the name of the loss, without weights.

        Of a process that has none of the structures of a batch they count for nothing.
        """
        batch = context.batch
        here = batch.share.count(batch.size)
        terms = {}
        for loss in self.each:
            found = loss(context) if loss.applies(batch) else None
            if found is not None:
                value, number = found if isinstance(found, Mean) else (found, here)
                terms[loss.name] = Mean(value, number if here else 0)
        return terms

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the weight 0 of losses of this package that are not here.

        They tell one run from another: what is left out shall be in them too.
        """
        shared = {f.name: getattr(self, f.name) for f in fields(self)}
        del shared["each"]
        given = {loss.name: loss.to_plain() for loss in self.each}
        ours = [name for name, loss in built_in(self.family).items() if loss.always]
        return {**shared, **dict.fromkeys(ours, 0.0), **given}


def built_in(family: type[Any]) -> dict[str, type[Any]]:
    """Classes of this package by their names: of `FrameLoss` or `MoleculeLoss`."""
    ours = f"{__name__.partition('.')[0]}."
    known = family.registered.items()
    return {name: loss for name, loss in known if loss.__module__.startswith(ours)}


def _instance(loss: type[Any], given: Any, where: str) -> Any:
    """Loss of a weight, or of a weight and settings."""
    if not isinstance(given, Mapping):
        given = {"weight": convert(Weight, given, where)}
    return build_at(loss, {"weight": loss.default, **given}, where)
