"""The Lightning module of PhysChem and HamNet."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from ase_physml.chem.property_sets import PropertySet
from ase_physml.models.bonded_model import BondedModel, MolecularPrediction
from ase_physml.training import conformation, properties
from ase_physml.training.distributed import Mean, nothing, over_all, weighted
from ase_physml.training.molecular.data import MolecularBatch
from ase_physml.training.molecular.recipe import MolecularRecipe
from ase_physml.training.schedule import warm_cosine

# Of all losses, in one order for all processes.
_NAMES = ("conn", "distances", "kabsch", "adj", "properties")
# Seeds of one process, before those of the next begin.
_BEYOND = 2**24


class MolecularTraining(pl.LightningModule):
    """A model under the losses of a recipe.

    Args:
        model: To train.
        recipe: Losses and schedule.
        known: Targets of the training molecules, for weights of classes, or None.
    """

    def __init__(
        self,
        model: BondedModel,
        recipe: MolecularRecipe,
        known: PropertySet | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.recipe = recipe
        self.task = None if known is None else known.task
        self.class_weights: Tensor | None = None
        if known is not None and known.task != "regression" and recipe.balance:
            targets = torch.from_numpy(known.targets).float()
            self.class_weights = properties.class_weights(targets, known.classes)
        self.errors: list[Tensor] = []
        self.answers: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: MolecularBatch, batch_idx: int) -> Tensor:
        """Sum of weighted losses; each is logged under ``train/``."""
        # What dropout leaves out depends on step and process: a resumed run repeats it.
        seed = self.recipe.seed * 1_000_003 + self.global_step
        torch.manual_seed(seed + _BEYOND * batch.share.rank)
        terms = self.loss_terms(batch, self.model.predict(batch.graph))
        own, means = over_all(terms, _NAMES, batch.share.world)
        weights = self.recipe.losses
        for name, value in {**means, "total": weighted(means, weights)}.items():
            self.log(
                f"train/{name}",
                value,
                on_step=False,
                on_epoch=True,
                batch_size=batch.size,
            )
        return nothing(self.model) + weighted(own, weights)

    def loss_terms(
        self, batch: MolecularBatch, said: MolecularPrediction
    ) -> dict[str, Mean]:
        """Unweighted losses of a batch; those with weight zero are not computed."""
        values = self._conformation_losses(batch, said)
        terms: dict[str, Mean] = {}
        if values:
            known = conformation.known(batch.graph).sum()
            terms = {name: Mean(value, known) for name, value in values.items()}
        if self.recipe.losses.properties and said.property is not None:
            assert batch.targets is not None
            loss = self._property_loss(said.property, batch.targets)
            terms["properties"] = Mean(loss, (~batch.targets.isnan()).sum())
        if not batch.share.count(batch.size):
            return {name: Mean(term.value, 0) for name, term in terms.items()}
        return terms

    def _conformation_losses(
        self, batch: MolecularBatch, said: MolecularPrediction
    ) -> dict[str, Tensor]:
        weights, graph = self.recipe.losses, batch.graph
        terms = {}
        if weights.conn and said.trajectory is not None:
            terms["conn"] = conformation.trajectory_loss(
                graph, said.trajectory, weights.hops, weights.decay,
                from_start=len(said.trajectory) == 1,
            )  # fmt: skip
        if weights.distances and said.distances is not None:
            terms["distances"] = conformation.conn_loss_of_distances(
                graph, said.distances, weights.hops
            )
        if weights.kabsch and said.trajectory is not None:
            terms["kabsch"] = conformation.kabsch_loss(graph, said.trajectory[-1])
        if weights.adj and said.trajectory is not None:
            terms["adj"] = conformation.adj_loss(graph, said.trajectory[-1])
        return terms

    def _property_loss(self, found: Tensor, targets: Tensor) -> Tensor:
        if self.task == "regression":
            head = self.model.head
            assert head is not None
            return properties.mse_loss(
                (found - head.mean) / head.deviation,
                (targets - head.mean) / head.deviation,
            )
        weights = self.class_weights
        weights = None if weights is None else weights.to(found)
        if self.task == "classification":
            return properties.binary_loss(found, targets, weights)
        return properties.cross_entropy_loss(found, targets, weights)

    def validation_step(self, batch: MolecularBatch, batch_idx: int) -> None:
        """Collect errors; means are over the whole set, not over batches."""
        said = self.model.predict(batch.graph)
        if said.trajectory is not None and self.recipe.losses.of_conformations:
            last = said.trajectory[-1]
            self.errors.append(conformation.distance_rms(batch.graph, last).cpu())
        if said.property is not None and batch.targets is not None:
            self.answers.append((said.property.cpu(), batch.targets.cpu()))

    def metrics(self) -> dict[str, float]:
        """Of the validation so far: RMS distance error (Å), error of properties.

        The "score", low where good, is that of properties if there are any: of a
        regression, in standard deviations of the targets.
        """
        found: dict[str, float] = {}
        if self.errors:
            found["distance_rms"] = float(torch.cat(self.errors).nanmean())
            found["score"] = found["distance_rms"]
        if self.answers:
            answers, targets = (
                torch.cat(parts) for parts in zip(*self.answers, strict=True)
            )
            if self.task == "regression":
                head = self.model.head
                assert head is not None
                errors = properties.rmse(answers, targets)
                found["rmse"] = float(errors.mean())
                found["score"] = float((errors / head.deviation.cpu()).mean())
            else:
                found["roc_auc"] = properties.mean_roc_auc(answers, targets)
                found["score"] = 1.0 - found["roc_auc"]
        return found

    def on_validation_epoch_end(self) -> None:
        """Log the metrics under ``val/``."""
        for name, value in self.metrics().items():
            self.log(f"val/{name}", value, prog_bar=name != "score")
        self.forget()

    def forget(self) -> None:
        """Collect errors anew."""
        self.errors.clear()
        self.answers.clear()

    def configure_optimizers(self) -> Any:
        """AdamW with a warm-up and a cosine."""
        recipe = self.recipe
        optimizer = torch.optim.AdamW(
            [p for p in self.model.parameters() if p.requires_grad],
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: warm_cosine(step, recipe.steps, recipe.warmup, recipe.final),
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
