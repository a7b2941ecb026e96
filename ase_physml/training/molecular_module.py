"""Lightning module of PhysChem and HamNet, and the context of their losses."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ase_physml.chem.property_sets import PropertySet
from ase_physml.models.bonded_model import BondedModel, MolecularPrediction
from ase_physml.training.losses import conformation, targets
from ase_physml.training.module import Metrics, TrainingModule
from ase_physml.training.molecular_data import MolecularBatch
from ase_physml.training.molecular_recipe import MolecularRecipe

# Seeds of one process, before those of the next begin.
_BEYOND = 2**24


@dataclass(frozen=True)
class MoleculeContext:
    """Batch of molecules and the model's answer, as losses read them.

    Attributes:
        batch: Molecules, with what is to be learned about them.
        prediction: Answer of the model.
        model: Model.
        recipe: Settings of the losses.
        task: Task of the properties, or None.
        class_weights: Weights of the classes of each target, (K, n_classes), or None.
    """

    batch: MolecularBatch
    prediction: MolecularPrediction
    model: BondedModel
    recipe: MolecularRecipe
    task: str | None = None
    class_weights: Tensor | None = None


class MolecularTraining(TrainingModule):
    """PhysChem or HamNet under the losses of a recipe.

    Args:
        model: Model to be trained.
        recipe: Losses and schedule.
        known: Targets of the training molecules, for weights of classes, or None.
    """

    model: BondedModel

    def __init__(
        self,
        model: BondedModel,
        recipe: MolecularRecipe,
        known: PropertySet | None = None,
    ) -> None:
        super().__init__(model, recipe)
        self.units = {"distance_rms": "Å"}
        self.task = None if known is None else known.task
        self.class_weights: Tensor | None = None
        if known is not None and known.task != "regression" and recipe.balance:
            known_targets = torch.from_numpy(known.targets).float()
            self.class_weights = targets.class_weights(known_targets, known.classes)
        self.errors: list[Tensor] = []
        self.answers: list[tuple[Tensor, Tensor]] = []

    def context(self, batch: MolecularBatch) -> MoleculeContext:
        """Batch and answer of the model, as the losses read them."""
        return MoleculeContext(
            batch,
            self.model.predict(batch.graph),
            self.model,
            self.recipe,
            self.task,
            self.class_weights,
        )

    def training_step(self, batch: MolecularBatch, batch_idx: int) -> Tensor:
        """Sum of weighted losses; each is logged under ``train/``."""
        # What dropout leaves out depends on step and process: a resumed run repeats it.
        seed = self.recipe.seed * 1_000_003 + self.global_step
        torch.manual_seed(seed + _BEYOND * batch.share.rank)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: MolecularBatch, batch_idx: int) -> None:
        """Collect errors; means are over the whole set, not over batches."""
        said = self.model.predict(batch.graph)
        if said.trajectory is not None and self.recipe.learns_conformations:
            last = said.trajectory[-1]
            self.errors.append(conformation.distance_rms(batch.graph, last).cpu())
        if said.property is not None and batch.targets is not None:
            self.answers.append((said.property.cpu(), batch.targets.cpu()))

    def metrics(self) -> Metrics:
        """Errors of the validation so far: RMS distance error (Å), of properties.

        The "score", low where good, is that of properties if there are any: of a
        regression, in standard deviations of the targets.
        """
        found: Metrics = {}
        if self.errors:
            found["distance_rms"] = float(torch.cat(self.errors).nanmean())
            found["score"] = found["distance_rms"]
        if self.answers:
            answers, wanted = (
                torch.cat(parts) for parts in zip(*self.answers, strict=True)
            )
            if self.task == "regression":
                head = self.model.head
                assert head is not None
                errors = targets.rmse(answers, wanted)
                found["rmse"] = float(errors.mean())
                found["score"] = float((errors / head.deviation.cpu()).mean())
            else:
                found["roc_auc"] = targets.mean_roc_auc(answers, wanted)
                found["score"] = 1.0 - found["roc_auc"]
        return found

    def forget(self) -> None:
        """Collect errors anew."""
        self.errors.clear()
        self.answers.clear()

    def make_optimizer(self) -> torch.optim.Optimizer:
        """AdamW for all weights that are not frozen."""
        return torch.optim.AdamW(
            [p for p in self.model.parameters() if p.requires_grad],
            lr=self.recipe.peak,
            weight_decay=self.recipe.weight_decay,
        )
