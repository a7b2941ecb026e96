"""Recipes of PhysChem and HamNet."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.training.losses import MoleculeLoss
from ase_physml.training.losses.loss import Losses
from ase_physml.training.recipe import (
    Count,
    Natural,
    Positive,
    PositiveShare,
    Recipe,
    Share,
    warm_cosine,
)
from ase_physml.typed import MisfitError


@dataclass(frozen=True)
class MoleculeLosses(Losses[MoleculeLoss]):
    """Losses of a recipe, of conformations and of properties.

    Attributes:
        hops: The k of Conn-k; null for all pairs.
        decay: eta of PhysChem's Eq 13.
    """

    family = MoleculeLoss

    hops: Count | None = 3
    decay: Share = 0.625


@dataclass(frozen=True, kw_only=True)
class MolecularRecipe(Recipe):
    """Recipe of a model of molecules: what those of both models share.

    Attributes:
        data: Store of molecules, or a set of properties.
        split: JSON split file of it.
        model: Architecture; its targets are filled in from the data.
        losses: Losses and their weights.
        start_from: Model whose weights training starts from: of the same architecture,
            or an engine for HamNet's second stage.
        share: Part of the training molecules to use.
        steps: Optimizer steps.
        learning_rate: Peak, reached after ``warmup`` steps; then a cosine.
        warmup: Steps of linear warm-up.
        final: Learning rate at the end, as a part of the peak.
        balance: Weigh rare classes up.
        keep_best: Save the weights of the best validation, not the last.
    """

    kind: ClassVar[str]

    data: str
    split: str
    model: PhysChemConfig | HamNetConfig = field(default_factory=PhysChemConfig)
    losses: MoleculeLosses = field(default_factory=MoleculeLosses.from_weights)
    share: PositiveShare = 1.0
    steps: Count = 10_000
    batch_size: Count = 128
    learning_rate: Positive = 1e-3
    warmup: Natural = 200
    final: Share = 0.01
    balance: bool = False
    keep_best: bool = False
    validate: Natural = 2000
    clip: Positive = 5.0

    @classmethod
    def from_values(cls, values: dict[str, Any], path: Path) -> Self:
        """Recipe of what was read from a file; errors as of `Recipe.from_values`.

        It has one target until the data says how many: some models make no sense
        without.
        """
        model = values.get("model", {})
        # What is wrong with the losses is said where the whole recipe is built.
        with suppress(MisfitError):
            losses = MoleculeLosses.from_plain(values.get("losses", {}), "losses")
            if isinstance(model, dict) and losses.learn_from("targets"):
                values = {**values, "model": {"targets": 1, **model}}
        return super().from_values(values, path)

    @property
    def total_steps(self) -> int:
        """Optimizer steps."""
        return self.steps

    @property
    def peak(self) -> float:
        """Learning rate after the warm-up."""
        return self.learning_rate

    def schedule(self, step: int) -> float:
        """Linear warm-up, then a cosine."""
        return warm_cosine(step, self.steps, self.warmup, self.final)

    def losses_at(self, step: int) -> MoleculeLosses:
        """Losses, the same at every step."""
        return self.losses

    @property
    def learns_conformations(self) -> bool:
        """Some loss compares with a conformation."""
        return self.losses.learn_from("positions")

    @property
    def learns_properties(self) -> bool:
        """Some loss compares with targets."""
        return self.losses.learn_from("targets")

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
        """Mistakes that recipes of this kind of model alone can have."""
        return iter(())

    def mistakes(self, processes: int = 1) -> Iterator[str]:
        """Reasons why it cannot be trained, by so many processes together."""
        losses = self.losses
        if not losses.each:
            yield "all losses have weight 0, so nothing is learned"
        if losses.read("trajectory") and not self.learns_positions:
            yield (
                "this model learns no positions: set losses.conn, losses.kabsch and "
                "losses.adj to 0"
            )
        if losses.read("distances") and not self.learns_distances:
            yield (
                "only PhysChem with forces=springs predicts distances apart from "
                "positions: set losses.distances to 0"
            )
        if not self.learns_properties and self.model.targets:
            yield "model.targets without losses.properties would never be learned"
        if self.steps % self.steps_per_epoch:
            yield (
                f"steps={self.steps} is not a multiple of steps_per_epoch="
                f"{self.steps_per_epoch}; the rest would be left out"
            )
        for loss in losses.each:
            yield from loss.mistakes(self, processes)
        yield from self.further_mistakes()

    def to_dict(self) -> dict[str, Any]:
        """Plain YAML types."""
        return {"kind": self.kind, **super().to_dict()}


@dataclass(frozen=True, kw_only=True)
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
        """The variant that is given conformations does."""
        return self.model.variant == "chemnet_conformer"


@dataclass(frozen=True, kw_only=True)
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
        """An engine that is frozen before it has learned anything."""
        if self.model.targets and self.model.frozen_engine and not self.start_from:
            yield (
                "model.frozen_engine keeps an engine that has learned nothing: give "
                "start_from, the engine of the first stage"
            )
