"""Callbacks between the epochs of a run: what it writes, says and draws."""

import csv
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import timedelta
from math import isfinite
from pathlib import Path
from time import monotonic
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from ase_physml.jobs.disk import atomic_write
from ase_physml.training.module import Metrics, TrainingData, TrainingModule

Say = Callable[[str], None]
Series = dict[str, list[tuple[int, float]]]

_MARKED = 30  # points of a curve, below which each gets a mark


class SaveWeights(Callback, ABC):
    """Writer of the averaged weights as a file to predict with.

    After every validation; where there is nothing to validate on, at the end. To be
    listed before the callback that averages, which at the end of a validation puts the
    weights back that it goes on with.

    Attributes:
        written: Validation errors of what was written.
    """

    written: Metrics

    def __init__(self) -> None:
        self.written = {}

    def on_validation_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Write the averaged weights, which the module holds here."""
        if trainer.sanity_checking:
            return
        module = _ours(pl_module)
        errors = module.metrics()
        if self.is_wanted(errors):
            self.written = errors
            if trainer.is_global_zero:
                self.save(module, trainer.global_step)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what the averaging has left here when training ended."""
        if trainer.is_global_zero and not sum(trainer.num_val_batches):
            self.save(_ours(pl_module), trainer.global_step)

    def is_wanted(self, errors: Metrics) -> bool:
        """True if weights with these errors replace those that were written."""
        return True

    @abstractmethod
    def save(self, module: TrainingModule, steps: int) -> None:
        """Write the file."""

    def state_dict(self) -> dict[str, Any]:
        """State that goes into checkpoints."""
        return {"written": self.written}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of a checkpoint."""
        self.written = dict(state_dict["written"])


def _ours(module: pl.LightningModule) -> TrainingModule:
    assert isinstance(module, TrainingModule)
    return module


class Lines(Callback):
    """One line for each epoch, where nobody watches a bar.

    Args:
        say: Function that is told them.
        total_steps: Steps of the whole run.
    """

    def __init__(self, say: Say, total_steps: int) -> None:
        self.say, self.total = say, total_steps

    def on_train_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Start the clock."""
        self.first, self.start = trainer.global_step, monotonic()

    def on_train_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Say the line; validation is over by now."""
        if not trainer.is_global_zero:
            return
        found = {k: float(v) for k, v in trainer.callback_metrics.items()}
        losses = [
            f"{k[6:]} {v:.4g}" for k, v in found.items() if k.startswith("train/")
        ]
        units = _ours(pl_module).units
        errors = ", ".join(
            f"{k[4:]} {v:.4g} {units.get(k[4:], '')}".rstrip()
            for k, v in found.items()
            if k.startswith("val/") and k != "val/score"
        )
        done = trainer.global_step
        spent = (monotonic() - self.start) / max(1, done - self.first)
        left = timedelta(seconds=round(spent * max(0, self.total - done)))
        self.say(
            f"step {done} of {self.total}  losses: {', '.join(losses)}  "
            f"errors: {errors or 'no validation'}  {left} left"
        )


class AgainstStart(Callback):
    """Validation errors before the first step of a fine-tuning, and of its result.

    Args:
        save: Writer, which knows the errors of what it has written.
        say: Function that is told how they compare.
        data: Batches.
    """

    def __init__(self, save: SaveWeights, say: Say, data: TrainingData) -> None:
        self.save, self.say, self.data = save, say, data
        self.before: Metrics = {}

    def on_train_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Measure the start; a resumed run knows it from its checkpoint."""
        if trainer.global_step == 0:
            self.before = self._measure(_ours(pl_module))

    def _measure(self, module: TrainingModule) -> Metrics:
        """Errors of a module as it stands."""
        training = module.training
        module.eval()
        module.forget()
        with torch.no_grad():
            for k, batch in enumerate(self.data.val_dataloader()):
                module.validation_step(batch.to(module.device), k)
        found = module.metrics()
        module.forget()
        module.train(training)
        return found

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say it, in a line or two."""
        if trainer.is_global_zero:
            units = _ours(pl_module).units
            for line in compare(self.before, self.save.written, units):
                self.say(line)

    def state_dict(self) -> dict[str, Any]:
        """State that goes into checkpoints."""
        return {"before": self.before}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of a checkpoint."""
        self.before = dict(state_dict["before"])


def compare(before: Metrics, after: Metrics, units: Mapping[str, str]) -> list[str]:
    """Lines that compare errors with those of the start; none without any.

    Args:
        before: Errors of the start.
        after: Errors of the result.
        units: Unit of those that have one.
    """
    both = [k for k in after if k in before and k != "score"]
    if not both:
        return []
    changes = ", ".join(
        f"{k} {before[k]:.4g} -> {after[k]:.4g} {units.get(k, '')}".rstrip()
        for k in both
    )
    lines = [f"validation errors, start -> now: {changes}"]
    if worse := [k for k in both if _is_worse(k, before[k], after[k])]:
        lines.append(
            f"WORSE THAN THE START: {', '.join(worse)}. Keep the potential it started "
            "from, or try a lower learning rate, more steps or more data"
        )
    return lines


def _is_worse(name: str, before: float, after: float) -> bool:
    if not isfinite(after):
        return True
    return after < before if name == "roc_auc" else after > before


class Curves(Callback):
    """Learning curves, drawn anew after every epoch."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def on_train_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Draw the curves up to here."""
        if trainer.is_global_zero:
            plot_curves(self.out / "csv", self.out / "curves.png")


def read_metrics(folder: Path) -> Series:
    """Step and value pairs of all ``metrics.csv`` in a folder, by the column's name.

    Lightning starts a new file whenever a run is resumed; where two overlap, after a
    kill between checkpoints, the later one counts.
    """
    series: dict[str, dict[int, float]] = defaultdict(dict)
    paths = folder.glob("version_*/metrics.csv")
    for path in sorted(paths, key=lambda p: int(p.parent.name.split("_")[1])):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    if value and name not in ("step", "epoch"):
                        series[name][int(row["step"])] = float(value)
    return {name: sorted(points.items()) for name, points in series.items()}


def plot_curves(folder: Path, out: Path) -> None:
    """Draw losses, validation errors and learning rate against steps, to a PNG."""
    from matplotlib.figure import Figure

    series = read_metrics(folder)
    groups = {
        "losses (unweighted)": "train/",
        "validation error (eV, eV/Å, eV/Å^3)": "val/",
        "learning rate": "lr-",
    }
    # A bare Figure: pyplot would settle the backend of the whole process.
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for axes, (title, prefix) in zip(
        figure.subplots(1, 3), groups.items(), strict=True
    ):
        for name, points in sorted(series.items()):
            if name.startswith(prefix) and name != "val/score":
                steps, values = zip(*points, strict=True)
                # Without marks, one point is nothing to be seen.
                marker = "." if len(points) < _MARKED else ""
                label = name.removeprefix(prefix).replace("_", " ")
                axes.plot(steps, values, marker=marker, label=label)
        axes.set(title=title, xlabel="optimizer step", yscale="log")
        axes.grid(alpha=0.3)
        if len(axes.lines) > 1:
            axes.legend(fontsize=8)
    with atomic_write(out) as partial:
        figure.savefig(partial, dpi=120, format="png")
