"""Recipes of PhysML: data, losses and their stages."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from ase_physml import typed
from ase_physml.errors import PotentialError, RecipeError
from ase_physml.models.architecture import architecture, architecture_of
from ase_physml.models.energy_model import EnergyConfig
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.training.displacement import Noise
from ase_physml.training.losses import FrameLoss
from ase_physml.training.losses.loss import Losses, Weight, built_in
from ase_physml.training.recipe import (
    Count,
    Natural,
    Positive,
    PositiveShare,
    Recipe,
    Share,
    warm_cosine,
)
from ase_physml.typed import brief


@dataclass(frozen=True)
class Source:
    """One HDF5 set.

    Attributes:
        path: Ragged HDF5 file.
        split: JSON split file (`physml data split`); only its train
            part is trained on, its val part watched. Without one all frames train.
        share: Part of the training frames to use.
        compare: Frames whose energies the difference loss compares: a column with
            equal values ("smiles"), or "reaction"; see `splits.groups_of`.
    """

    path: str
    split: str | None = None
    share: PositiveShare = 1.0
    compare: str | None = None


@dataclass(frozen=True)
class FrameLosses(Losses[FrameLoss]):
    """Losses of a stage; the classes are in `ase_physml.training.losses.frames`."""

    family = FrameLoss

    def teaches(self, columns: tuple[str, ...]) -> bool:
        """True if something is learned from a set that has these columns.

        Structures without labels teach nothing to a stage that only fits labels.
        """
        if "energy" in columns:
            return True
        return any(
            not loss.labels or not set(loss.labels).isdisjoint(columns)
            for loss in self.each
        )


@dataclass(frozen=True)
class Stage:
    """A stretch of training with its own losses and learning-rate cycle.

    Attributes:
        steps: Optimizer steps.
        losses: Losses and their weights.
        learning_rate: Peak, reached after ``warmup`` steps.
        warmup: Steps of linear warm-up.
        final: Learning rate at the end of the cosine, as a part of the peak.
        noise: Displacements of this stage, if not those of the recipe.
    """

    steps: Count = 10_000
    losses: FrameLosses = field(default_factory=FrameLosses.from_weights)
    learning_rate: Positive = 1e-3
    warmup: Natural = 500
    final: Share = 0.01
    noise: Noise | None = None


@dataclass(frozen=True, kw_only=True)
class PhysMLRecipe(Recipe):
    """Recipe of a potential: fresh, or one that is fine-tuned.

    Attributes:
        sources: HDF5 sets; sets without energies take part in the other losses.
        model: Architecture; ``elements`` is filled in from the data.
        stages: Stages, one after the other.
        start_member: Number of the committee's member to start from.
        refit_self_energies: When fine-tuning, fit E0 anew: needed at another level.
        level_of_theory: Level of theory on the card; that of the data when absent.
        huber: Energy errors above it count linearly, eV; null for plain squares.
        huber_difference: Errors of energy differences above it count linearly, eV.
        huber_forces: Errors of force components above it count linearly, eV/Å.
        noise: Displacements of the bound and denoising losses.
        displaced_share: Part of each batch whose forces are those where noise has
            moved it, for the denoising loss; of the others they are those at rest, for
            the zero-force loss.
        margin: Force constant of the curvature margin in the bound loss, eV/Å^2.
        mask_share: Part of the atoms that MAM hides.
        mask_every: Steps between two MAM passes; its weight is scaled up to match.
        optimizer: "adamw", or "soap" (Vyas et al., ICLR 2025), which turns the gradient
            into the eigenbasis of its recent second moments: half the steps or fewer,
            at a tenth more time each; take three times the learning rate.
        compile: Compile energy and forces into one graph (some minutes at the start).
        backend: "native" has energies, forces and charges of molecules, and their
            gradients, from C++ on a CPU: two to three times faster than compiled, and
            nothing to wait for. Gradients of losses of forces are differences along
            them, 1e-4 of their norm from the exact ones. Cells are left to torch.
    """

    kind = "physml"

    sources: tuple[Source, ...]
    model: EnergyConfig = field(default_factory=PhysMLConfig)
    stages: tuple[Stage, ...] = (Stage(),)
    start_member: Natural = 0
    refit_self_energies: bool = False
    level_of_theory: str | None = None
    huber: Positive | None = None
    huber_difference: Positive | None = None
    huber_forces: Positive | None = None
    noise: Noise = field(default_factory=Noise)
    displaced_share: Share = 0.5
    margin: Weight = 0.0
    mask_share: Share = 0.3
    mask_every: Count = 1
    optimizer: Literal["adamw", "soap"] = "adamw"
    compile: bool = False
    backend: Literal["torch", "native"] = "torch"

    @classmethod
    def from_values(cls, values: dict[str, Any], path: Path) -> Self:
        """Recipe of what `read_recipe` found in a file; see `Recipe.from_values`."""
        given = values.get("model")
        if isinstance(given, dict):
            config = _config(given, f"{path}: model")
            values = {**values, "model": config}
        return super().from_values(values, path)

    def to_dict(self) -> dict[str, Any]:
        """Plain YAML types."""
        values = super().to_dict()
        kind = architecture_of(self.model).name
        if kind != self.kind:
            values["model"] = {"kind": kind, **values["model"]}
        return values

    @property
    def total_steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def peak(self) -> float:
        """Peak of the first stage."""
        return self.stages[0].learning_rate

    def stage_at(self, step: int) -> tuple[Stage, int]:
        """Stage that a step belongs to, and the step within it."""
        for stage in self.stages:
            if step < stage.steps:
                return stage, step
            step -= stage.steps
        return self.stages[-1], self.stages[-1].steps

    def losses_at(self, step: int) -> FrameLosses:
        """Losses of the stage that a step belongs to."""
        return self.stage_at(step)[0].losses

    def noise_at(self, step: int) -> Noise:
        """Displacements of the stage that a step belongs to."""
        return self.stage_at(step)[0].noise or self.noise

    @property
    def measured(self) -> tuple[FrameLoss, ...]:
        """Losses whose errors validations show: all of this package, those in use."""
        ours = {name: loss() for name, loss in built_in(FrameLoss).items()}
        used = {loss.name: loss for s in self.stages for loss in s.losses.each}
        return tuple(loss for loss in {**ours, **used}.values() if loss.metric)

    def schedule(self, step: int) -> float:
        """Linear warm-up, then a cosine, in every stage."""
        stage, within = self.stage_at(step)
        part = warm_cosine(within, stage.steps, stage.warmup, stage.final)
        return stage.learning_rate * part / self.peak

    def mistakes(self, processes: int = 1) -> Iterator[str]:
        """Reasons why it cannot be trained, by so many processes together."""
        if not self.sources:
            yield "a recipe needs at least one source"
        if not self.stages:
            yield "a recipe needs at least one stage"
        if self.refit_self_energies and self.start_from is None:
            yield (
                "refit_self_energies without start_from: a fresh model has its E0 "
                "fitted anyway; leave it out, or name the potential to start from"
            )
        if getattr(self.model, "a_mask", False):
            yield (
                "model.a_mask reads a bond graph, which no set has: its gate would "
                "learn nothing; leave it out"
            )
        if self.compile and self.backend == "native":
            yield "compile: true is for backend: torch; native code is compiled already"
        for stage in self.stages:
            for loss in stage.losses.each:
                yield from loss.mistakes(self, processes)
        if self.total_steps % self.steps_per_epoch:
            yield (
                f"the steps of all stages, {self.total_steps}, are not a multiple of "
                f"steps_per_epoch={self.steps_per_epoch}; the rest would be left out"
            )


def _config(values: dict[str, Any], where: str) -> EnergyConfig:
    """Architecture in a recipe: of PhysML, unless its ``kind`` names another model."""
    settings = dict(values)
    kind = settings.pop("kind", PhysMLRecipe.kind)
    if not isinstance(kind, str):
        raise RecipeError(f"{where}: kind: expected a name, got {brief(kind)}")
    try:
        known = architecture(kind)
    except PotentialError as error:
        raise RecipeError(f"{where}: {error}") from error
    if not issubclass(known.config, EnergyConfig):
        raise RecipeError(f"{where}: {kind} gives no energies; set the recipe's kind")
    return typed.build(known.config, settings, where, RecipeError)
