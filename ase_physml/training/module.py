"""Lightning modules of training: what those of all models have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ase_physml.training.distributed import (
    Shard,
    nothing,
    over_all,
    share_of,
    weighted,
)
from ase_physml.training.recipe import Recipe

Metrics = dict[str, float]


class TrainingModule(pl.LightningModule, ABC):
    """A model under the losses of a recipe.

    Args:
        model: Model to be trained.
        recipe: Losses and schedule.

    Attributes:
        units: Unit of validation errors by their names, where they have one.
    """

    units: Mapping[str, str]

    def __init__(self, model: torch.nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.model: Any = model
        self.recipe: Any = recipe

    @abstractmethod
    def context(self, batch: Any) -> Any:
        """Batch and answer of the model, as the losses of this step read them."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Sum of weighted losses; each is logged under ``train/``."""
        losses = self.recipe.losses_at(self.global_step)
        terms = losses.terms(self.context(batch))
        own, means = over_all(terms, list(losses.weights), batch.share.world)
        total = weighted(means, losses.weights)
        for name, value in {**means, "total": total}.items():
            self.log(
                f"train/{name}",
                value,
                on_step=False,
                on_epoch=True,
                batch_size=batch.size,
            )
        return nothing(self.model) + weighted(own, losses.weights)

    @abstractmethod
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Collect errors; means are over the whole set, not over batches."""

    @abstractmethod
    def metrics(self) -> Metrics:
        """Errors of the validation so far, and their "score", low where good."""

    @abstractmethod
    def forget(self) -> None:
        """Collect errors anew."""

    def on_validation_epoch_end(self) -> None:
        """Log the metrics under ``val/``."""
        for name, value in self.metrics().items():
            self.log(f"val/{name}", value, prog_bar=name != "score", sync_dist=True)
        self.forget()

    @abstractmethod
    def make_optimizer(self) -> torch.optim.Optimizer:
        """Optimizer with the learning rate at its peak."""

    def configure_optimizers(self) -> Any:
        """The recipe's optimizer and schedule."""
        optimizer = self.make_optimizer()
        # A function: of anything else, checkpoints would keep the attributes.
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.recipe.schedule(step)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class TrainingData(pl.LightningDataModule, ABC):
    """Training and validation batches of a recipe.

    Attributes:
        split_hashes: Data file to the hash of its split.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe: Any = recipe
        self.split_hashes: dict[str, str] = {}

    @abstractmethod
    def batch_at(self, step: int, share: Shard) -> Any:
        """A process's share of the batch that an optimizer step learns from."""

    @abstractmethod
    def validation(self) -> Dataset[Any]:
        """Batches with everything to validate on once; none if there is nothing."""

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches in the order of the steps, this process's share of them."""
        batches = _Steps(self.batch_at, share_of(self.trainer))
        sampler = StepSampler(self.recipe.steps_per_epoch, self._steps_done)
        return DataLoader(batches, batch_size=None, sampler=sampler)

    def val_dataloader(self) -> DataLoader[Any]:
        """Everything to validate on, in every process."""
        return DataLoader(self.validation(), batch_size=None)

    def _steps_done(self) -> int:
        return self.trainer.global_step if self.trainer is not None else 0


class _Steps(Dataset[Any]):
    """Batches by the number of the step."""

    def __init__(self, batch_at: Callable[[int, Shard], Any], share: Shard) -> None:
        self.batch_at, self.share = batch_at, share

    def __getitem__(self, step: int) -> Any:
        return self.batch_at(step, self.share)


class StepSampler(Sampler[int]):
    """Steps of one epoch: Lightning calls `set_epoch`.

    Args:
        steps_per_epoch: Optimizer steps in an epoch.
        done: Steps that are done, where a run goes on in the middle of an epoch.
    """

    def __init__(
        self, steps_per_epoch: int, done: Callable[[], int] = lambda: 0
    ) -> None:
        self.steps_per_epoch, self.done = steps_per_epoch, done
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Continue the stream at this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[int]:
        # A generator, which looks at the epoch when the first step is asked for:
        # Lightning sets it after it has made the iterator.
        first = self.epoch * self.steps_per_epoch
        yield from range(max(first, self.done()), first + self.steps_per_epoch)
