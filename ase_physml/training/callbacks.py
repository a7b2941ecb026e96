"""What happens between the epochs of a run."""

import datetime as dt
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import save_model
from ase_physml.training.curves import plot_curves
from ase_physml.training.module import PhysMLTraining

Metrics = dict[str, float]


class Budget(Callback):
    """Stop after the epoch in which the time is up.

    Lightning's own timer stops between two steps, where a checkpoint does not resume
    to the same batches, and counts the time before a resumption as well.
    """

    def __init__(self, max_time: dt.timedelta) -> None:
        self.max_time = max_time

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.end = monotonic() + self.max_time.total_seconds()

    def on_train_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Look at it."""
        over = trainer.strategy.reduce_boolean_decision(
            monotonic() > self.end, all=False
        )
        trainer.should_stop = trainer.should_stop or over


class Curves(Callback):
    """Redraw the learning curves after every epoch."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def on_train_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Curves up to here."""
        if trainer.is_global_zero:
            plot_curves(self.out / "csv", self.out / "curves.png")


class SaveWeights(Callback, ABC):
    """Write the averaged weights as a file to predict with.

    After every validation; where there is nothing to validate on, at the end. To be
    listed before the callback that averages, which at the end of a validation puts the
    weights back that it goes on with.
    """

    written: Metrics
    """Validation errors of what was written."""

    def __init__(self) -> None:
        self.written = {}

    def on_validation_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Here the module holds the averaged weights, and has not logged its errors."""
        if trainer.sanity_checking:
            return
        errors = pl_module.metrics()  # type: ignore[operator]
        if self.is_wanted(errors):
            self.written = errors
            if trainer.is_global_zero:
                self.save(pl_module, trainer.global_step)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The averaging has left them here when training ended."""
        if trainer.is_global_zero and not sum(trainer.num_val_batches):
            self.save(pl_module, trainer.global_step)

    def is_wanted(self, errors: Metrics) -> bool:
        """Whether weights with these errors replace those that were written."""
        return True

    @abstractmethod
    def save(self, pl_module: pl.LightningModule, steps: int) -> None:
        """Write the file."""

    def state_dict(self) -> dict[str, Any]:
        """Goes into checkpoints."""
        return {"written": self.written}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Comes out of them."""
        self.written = dict(state_dict["written"])


class SavePotential(SaveWeights):
    """PhysML as a potential."""

    def __init__(self, out: Path, card: ModelCard) -> None:
        super().__init__()
        self.out, self.card = out, card

    def save(self, pl_module: pl.LightningModule, steps: int) -> None:
        """Write ``OUT/NAME.pt``."""
        assert isinstance(pl_module, PhysMLTraining)
        card = replace(self.card, training={**self.card.training, "steps": steps})
        save_model(self.out / f"{card.name}.pt", pl_module.model, card)
