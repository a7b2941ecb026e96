"""Recipes of PhysChem and HamNet."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ase_physml.errors import RecipeError
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.potentials.molecular import Kind
from ase_physml.training.yaml_recipe import build, plain


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

    conn: float = 0.0
    distances: float = 0.0
    kabsch: float = 0.0
    adj: float = 0.0
    properties: float = 0.0
    hops: int | None = 3
    decay: float = 0.625

    @property
    def of_conformations(self) -> bool:
        """Some loss compares positions."""
        return bool(self.conn or self.distances or self.kabsch or self.adj)


@dataclass(frozen=True)
class MolecularRecipe:
    """What the recipes of both models have in common.

    Attributes:
        name: Folder and file name of the result.
        data: Store of molecules, or a set of properties.
        split: JSON split file of it.
        losses: Weights.
        start_from: Model whose weights training starts from: of the same architecture,
            or an engine for HamNet's second stage.
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

    kind: ClassVar[Kind]

    name: str
    data: str
    split: str
    losses: MolecularLosses = field(default_factory=MolecularLosses)
    start_from: str | None = None
    share: float = 1.0
    steps: int = 10_000
    batch_size: int = 128
    learning_rate: float = 1e-3
    warmup: int = 200
    final: float = 0.01
    balance: bool = False
    keep_best: bool = False
    steps_per_epoch: int = 500
    validate: int = 2000
    weight_decay: float = 0.0
    clip: float = 5.0
    ema: float = 0.999
    patience: int | None = None
    seed: int = 0

    @property
    def total_steps(self) -> int:
        """Optimizer steps."""
        return self.steps

    @property
    def architecture(self) -> dict[str, Any]:
        """Of the model, as a dict."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """As plain YAML types."""
        values: dict[str, Any] = plain({"kind": self.kind, **asdict(self)})
        return values


@dataclass(frozen=True)
class PhysChemRecipe(MolecularRecipe):
    """A recipe with PhysChem as its model; targets are filled in from the data."""

    kind = "physchem"
    model: PhysChemConfig = field(default_factory=PhysChemConfig)

    @property
    def architecture(self) -> dict[str, Any]:
        """Of the model, as a dict."""
        return self.model.to_dict()


@dataclass(frozen=True)
class HamNetRecipe(MolecularRecipe):
    """A recipe with HamNet as its model; without a property loss, its engine."""

    kind = "hamnet"
    model: HamNetConfig = field(default_factory=HamNetConfig)

    @property
    def architecture(self) -> dict[str, Any]:
        """Of the model, as a dict."""
        return self.model.to_dict()


KINDS: dict[str, type[MolecularRecipe]] = {
    "physchem": PhysChemRecipe,
    "hamnet": HamNetRecipe,
}


def of_values(values: dict[str, Any], path: Path) -> MolecularRecipe:
    """A recipe of what was read from a file; its ``kind`` says which.

    Raises:
        RecipeError: An unknown key, or a value that makes no sense.
    """
    kind = values["kind"]
    rest = {key: value for key, value in values.items() if key != "kind"}
    recipe: MolecularRecipe = build(KINDS[kind], rest, str(path))
    if not (recipe.losses.of_conformations or recipe.losses.properties):
        raise RecipeError(f"{path}: all losses have weight 0, so nothing is learned")
    for name in ("steps", "batch_size", "steps_per_epoch"):
        if getattr(recipe, name) < 1:
            raise RecipeError(f"{path}: {name} must be at least 1")
    if recipe.steps % recipe.steps_per_epoch:
        raise RecipeError(
            f"{path}: steps={recipe.steps} is not a multiple of steps_per_epoch="
            f"{recipe.steps_per_epoch}; the rest would be left out"
        )
    return recipe
