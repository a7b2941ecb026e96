"""Recipes of PhysML: data, losses and their stages."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from ase_physml.errors import RecipeError
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.training.noise import Noise
from ase_physml.training.yaml_recipe import build, plain, read
from ase_physml.typed import Range

Count = Annotated[int, Range(at_least=1)]
Positive = Annotated[float, Range(above=0.0)]
Weight = Annotated[float, Range(at_least=0.0)]
Shard = Annotated[float, Range(at_least=0.0, at_most=1.0)]
# What all generators of random numbers take.
Seed = Annotated[int, Range(at_least=0, below=2**32)]


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
    share: Annotated[float, Range(above=0.0, at_most=1.0)] = 1.0
    compare: str | None = None


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss; 0 leaves it, and its cost, out.

    Attributes:
        energy: Labelled energies.
        forces: Labelled forces.
        stress: Labelled stress of cells. Its numbers in eV/Å^3 are small: take a weight
            some thousand times that of forces.
        difference: Labelled energies less their mean over frames that are compared.
        zero_force: Forces at equilibrium structures are zero.
        bound: Displaced structures lie above (Eq 8).
        mask: Masked atomic modelling (Eq 7).
        denoise: The gradient points back to the equilibrium (not in the paper).
    """

    energy: Weight = 1.0
    forces: Weight = 0.0
    stress: Weight = 0.0
    difference: Weight = 0.0
    zero_force: Weight = 0.0
    bound: Weight = 0.0
    mask: Weight = 0.0
    denoise: Weight = 0.0

    @property
    def physics(self) -> bool:
        """Some loss learns from structures alone."""
        return bool(self.zero_force or self.bound or self.mask or self.denoise)


@dataclass(frozen=True)
class Stage:
    """A stretch of training with its own losses and learning-rate cycle.

    Attributes:
        steps: Optimizer steps.
        losses: Loss weights.
        learning_rate: Peak, reached after ``warmup`` steps.
        warmup: Steps of linear warm-up.
        final: Learning rate at the end of the cosine, as a part of the peak.
        noise: Of this stage, if not that of the recipe.
    """

    steps: Count = 10_000
    losses: LossWeights = field(default_factory=LossWeights)
    learning_rate: Positive = 1e-3
    warmup: Annotated[int, Range(at_least=0)] = 500
    final: Shard = 0.01
    noise: Noise | None = None


@dataclass(frozen=True)
class Recipe:
    """Everything that a training run depends on.

    Attributes:
        name: Folder and file name of the result.
        sources: HDF5 sets; sets without energies take part in the other losses.
        model: Architecture; ``elements`` is filled in from the data.
        stages: One after the other.
        start_from: Potential, shipped or a file, whose weights training starts from
            (fine-tuning).
        start_member: Of a committee to start from, which.
        refit_self_energies: When fine-tuning, fit E0 anew: needed at another level.
        level_of_theory: For the card; taken from the data when absent.
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
        batch_size: Molecules of equal size per step, in all processes together.
        steps_per_epoch: Steps between validations and checkpoints; the steps of all
            stages are a multiple of it.
        validate: Validation molecules (of those in the split).
        optimizer: "adamw", or "soap" (Vyas et al., ICLR 2025), which turns the gradient
            into the eigenbasis of its recent second moments: half the steps or fewer,
            at a tenth more time each; take three times the learning rate.
        weight_decay: Of the optimizer, decoupled.
        clip: Gradient norm.
        ema: Decay of the averaged weights, which are what is saved.
        compile: Compile energy and forces into one graph (some minutes at the start).
        patience: Epochs without a better validation loss before stopping early; null
            never stops.
        seed: Of weights, batches and noise.
    """

    name: str
    sources: tuple[Source, ...]
    model: PhysMLConfig = field(default_factory=PhysMLConfig)
    stages: tuple[Stage, ...] = (Stage(),)
    start_from: str | None = None
    start_member: Annotated[int, Range(at_least=0)] = 0
    refit_self_energies: bool = False
    level_of_theory: str | None = None
    huber: Positive | None = None
    huber_difference: Positive | None = None
    huber_forces: Positive | None = None
    noise: Noise = field(default_factory=Noise)
    displaced_share: Shard = 0.5
    margin: Weight = 0.0
    mask_share: Shard = 0.3
    mask_every: Count = 1
    batch_size: Count = 32
    steps_per_epoch: Count = 500
    validate: Annotated[int, Range(at_least=0)] = 1000
    optimizer: Literal["adamw", "soap"] = "adamw"
    weight_decay: Weight = 0.0
    clip: Positive = 10.0
    ema: Annotated[float, Range(at_least=0.0, below=1.0)] = 0.999
    compile: bool = False
    patience: Count | None = None
    seed: Seed = 0

    @property
    def total_steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> tuple[Stage, int]:
        """The stage that a step belongs to, and the step within it."""
        for stage in self.stages:
            if step < stage.steps:
                return stage, step
            step -= stage.steps
        return self.stages[-1], self.stages[-1].steps

    def to_dict(self) -> dict[str, Any]:
        """As plain YAML types."""
        values: dict[str, Any] = plain({**asdict(self), "model": self.model.to_dict()})
        return values


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``key=value`` overrides (``model.width=64``).

    Relative paths in it are looked up from the working directory first, then from the
    recipe's own folder.

    Raises:
        RecipeError: The file is missing, is not a mapping, or names an unknown key or
            a value of the wrong type.
    """
    return of_values(read(path, overrides), path)


def of_values(values: dict[str, Any], path: Path) -> Recipe:
    """A recipe of what `read` found in a file; errors as of `load_recipe`."""
    recipe = build(Recipe, values, path)
    _check(recipe)
    return recipe


def _check(recipe: Recipe) -> None:
    if not recipe.sources:
        raise RecipeError("a recipe needs at least one source")
    if not recipe.stages:
        raise RecipeError("a recipe needs at least one stage")
    if recipe.refit_self_energies and recipe.start_from is None:
        raise RecipeError(
            "refit_self_energies without start_from: a fresh model has its E0 fitted "
            "anyway; leave it out, or name the potential to start from"
        )
    compares = any(source.compare for source in recipe.sources)
    if any(stage.losses.difference for stage in recipe.stages) and not compares:
        raise RecipeError(
            "the loss of differences compares nothing; say of a source what its frames "
            "have in common, such as compare: smiles"
        )
    if recipe.total_steps % recipe.steps_per_epoch:
        raise RecipeError(
            f"the steps of all stages, {recipe.total_steps}, are not a multiple of "
            f"steps_per_epoch={recipe.steps_per_epoch}; the rest would be left out"
        )
