"""Recipes of PhysChem and HamNet."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from ase_physml.errors import RecipeError
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.training.recipe import Count, Positive, Seed, Shard, Weight
from ase_physml.training.yaml_recipe import build, plain
from ase_physml.typed import Range


@dataclass(frozen=True)
class MolecularLosses:
    """Weight of each loss; 0 leaves it out.

    Attributes:
        conn: Conn-k over the trajectory (PhysChem Eqs 12 and 13).
        distances: Conn-k of the distances that the springs aim at.
        kabsch: Kabsch-RMSD (HamNet Eq 14).
        adj: ADJ-k (HamNet Eq 16).
        properties: Of standardised targets: squared error, or cross entropy.
        hops: The k of Conn-k; null for all pairs.
        decay: eta of Eq 13.
    """

    conn: Weight = 0.0
    distances: Weight = 0.0
    kabsch: Weight = 0.0
    adj: Weight = 0.0
    properties: Weight = 0.0
    hops: Count | None = 3
    decay: Shard = 0.625

    @property
    def of_positions(self) -> bool:
        """Some loss looks at predicted positions."""
        return bool(self.conn or self.kabsch or self.adj)

    @property
    def of_conformations(self) -> bool:
        """Some loss compares with a conformation."""
        return bool(self.of_positions or self.distances)


@dataclass(frozen=True)
class MolecularRecipe(ABC):
    """What the recipes of both models have in common.

    Attributes:
        name: Folder and file name of the result.
        data: Store of molecules, or a set of properties.
        split: JSON split file of it.
        model: Architecture; its targets are filled in from the data.
        losses: Weights.
        start_from: Model, shipped or a file, whose weights training starts from: of
            the same architecture, or an engine for HamNet's second stage.
        share: Part of the training molecules to use.
        steps: Optimizer steps.
        batch_size: Molecules per step.
        learning_rate: Peak, reached after ``warmup`` steps; then a cosine.
        warmup: Steps of linear warm-up.
        final: Learning rate at the end, as a part of the peak.
        balance: Weigh rare classes up.
        keep_best: Save the weights of the best validation, not the last.
        steps_per_epoch: Steps between validations and checkpoints.
        validate: Validation molecules at most.
        weight_decay: AdamW.
        clip: Gradient norm.
        ema: Decay of the averaged weights, which are what is saved.
        patience: Epochs without a better validation before stopping; null never.
        seed: Of weights and batches.
    """

    kind: ClassVar[str]

    name: str
    data: str
    split: str
    model: PhysChemConfig | HamNetConfig = field(default_factory=PhysChemConfig)
    losses: MolecularLosses = field(default_factory=MolecularLosses)
    start_from: str | None = None
    share: Annotated[float, Range(above=0.0, at_most=1.0)] = 1.0
    steps: Count = 10_000
    batch_size: Count = 128
    learning_rate: Positive = 1e-3
    warmup: Annotated[int, Range(at_least=0)] = 200
    final: Shard = 0.01
    balance: bool = False
    keep_best: bool = False
    steps_per_epoch: Count = 500
    validate: Annotated[int, Range(at_least=0)] = 2000
    weight_decay: Weight = 0.0
    clip: Positive = 5.0
    ema: Annotated[float, Range(at_least=0.0, below=1.0)] = 0.999
    patience: Count | None = None
    seed: Seed = 0

    @property
    def total_steps(self) -> int:
        """Optimizer steps."""
        return self.steps

    @property
    @abstractmethod
    def learns_positions(self) -> bool:
        """Losses of positions reach weights of the model."""

    @property
    @abstractmethod
    def learns_distances(self) -> bool:
        """The model predicts distances apart from positions."""

    @property
    @abstractmethod
    def reads_positions(self) -> bool:
        """The model needs conformations as input."""

    def further_mistakes(self) -> Iterator[str]:
        """What is wrong with a recipe of this kind of model alone."""
        return iter(())

    def to_dict(self) -> dict[str, Any]:
        """As plain YAML types."""
        values: dict[str, Any] = plain({"kind": self.kind, **asdict(self)})
        return values


@dataclass(frozen=True)
class PhysChemRecipe(MolecularRecipe):
    """A recipe with PhysChem as its model."""

    kind = "physchem"
    model: PhysChemConfig = field(default_factory=PhysChemConfig)

    @property
    def learns_positions(self) -> bool:
        """ChemNet alone predicts none, but for its multi-task variant."""
        return self.model.moves or self.model.variant == "chemnet_multitask"

    @property
    def learns_distances(self) -> bool:
        """Springs have lengths."""
        return self.model.moves and self.model.forces == "springs"

    @property
    def reads_positions(self) -> bool:
        """One variant does."""
        return self.model.variant == "chemnet_conformer"


@dataclass(frozen=True)
class HamNetRecipe(MolecularRecipe):
    """A recipe with HamNet as its model; without a property loss, its engine."""

    kind = "hamnet"
    model: HamNetConfig = field(default_factory=HamNetConfig)

    @property
    def learns_positions(self) -> bool:
        """The engine does, unless it is frozen or left out."""
        frozen = self.model.frozen_engine or self.model.conformation != "engine"
        return not (self.model.targets and frozen)

    @property
    def learns_distances(self) -> bool:
        """Never."""
        return False

    @property
    def reads_positions(self) -> bool:
        """The paper's row "real conformation" does."""
        return bool(self.model.targets and self.model.conformation == "given")

    def further_mistakes(self) -> Iterator[str]:
        """A frozen engine has to come from somewhere."""
        if self.model.targets and self.model.frozen_engine and not self.start_from:
            yield (
                "model.frozen_engine keeps an engine that has learned nothing: give "
                "start_from, the engine of the first stage"
            )


KINDS: dict[str, type[MolecularRecipe]] = {
    "physchem": PhysChemRecipe,
    "hamnet": HamNetRecipe,
}


def of_values(values: dict[str, Any], path: Path) -> MolecularRecipe:
    """A recipe of what was read from a file; its ``kind`` says which.

    Raises:
        RecipeError: An unknown key, or a value that makes no sense.
    """
    kind = KINDS[values["kind"]]
    rest = {key: value for key, value in values.items() if key != "kind"}
    recipe = build(kind, _with_targets(rest), path)
    for reason in _mistakes(recipe):
        raise RecipeError(f"{path}: {reason}")
    return recipe


def _with_targets(values: dict[str, Any]) -> dict[str, Any]:
    """One target until the data says how many: some models make no sense without."""
    model, losses = values.get("model", {}), values.get("losses", {})
    plain_dicts = isinstance(model, dict) and isinstance(losses, dict)
    if plain_dicts and losses.get("properties"):
        return {**values, "model": {"targets": 1, **model}}
    return values


def _mistakes(recipe: MolecularRecipe) -> Iterator[str]:
    """What is wrong with a recipe."""
    losses = recipe.losses
    if not (losses.of_conformations or losses.properties):
        yield "all losses have weight 0, so nothing is learned"
    if losses.of_positions and not recipe.learns_positions:
        yield (
            "this model learns no positions: set losses.conn, losses.kabsch and "
            "losses.adj to 0"
        )
    if losses.distances and not recipe.learns_distances:
        yield (
            "only PhysChem with forces=springs predicts distances apart from "
            "positions: set losses.distances to 0"
        )
    if not losses.properties and recipe.model.targets:
        yield "model.targets without losses.properties would never be learned"
    if recipe.steps % recipe.steps_per_epoch:
        yield (
            f"steps={recipe.steps} is not a multiple of steps_per_epoch="
            f"{recipe.steps_per_epoch}; the rest would be left out"
        )
    yield from recipe.further_mistakes()
