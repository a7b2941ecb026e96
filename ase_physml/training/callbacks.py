"""What happens between the epochs of a run."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from time import monotonic

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from ase_physml.potentials.card import PotentialCard
from ase_physml.potentials.checkpoint import save_potential
from ase_physml.training.curves import plot_curves
from ase_physml.training.module import PhysMLTraining


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


class SavePotential(Callback):
    """Write the averaged weights as a potential and redraw the curves.

    After every validation; where there is nothing to validate on, at the end.
    """

    def __init__(self, out: Path, card: PotentialCard) -> None:
        self.out, self.card = out, card

    def on_validation_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Here the module holds the averaged weights."""
        if not trainer.sanity_checking:
            self._save(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The averaging, earlier in the list of callbacks, has left them here too."""
        if not sum(trainer.num_val_batches):
            self._save(trainer, pl_module)

    def _save(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, PhysMLTraining)
        notes = {**self.card.training, "steps": trainer.global_step}
        card = replace(self.card, training=notes)
        save_potential(self.out / f"{card.name}.pt", pl_module.model, card)

    def on_train_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Curves up to here."""
        if trainer.is_global_zero:
            plot_curves(self.out / "csv", self.out / "curves.png")
