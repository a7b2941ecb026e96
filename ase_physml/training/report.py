"""What a run says: a line a validation, and at the end whether it was worth it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from math import isfinite
from time import monotonic
from typing import Any, Protocol

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from ase_physml.training.callbacks import Metrics, SaveWeights

Say = Callable[[str], None]

_UNITS = {
    "mae_energy": "eV",
    "mae_difference": "eV",
    "mae_forces": "eV/Å",
    "mae_stress": "eV/Å^3",
    "mae_zero_force": "eV/Å",
    "distance_rms": "Å",
}


class Validated(Protocol):
    """A module that collects errors in validation steps."""

    device: torch.device

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Collect the errors of a batch."""

    def metrics(self) -> Metrics:
        """Of what was collected."""

    def forget(self) -> None:
        """Collect anew."""


class Lines(Callback):
    """One line for each epoch, where nobody watches a bar."""

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
        """Validation is over by now."""
        if not trainer.is_global_zero:
            return
        found = {k: float(v) for k, v in trainer.callback_metrics.items()}
        losses = [
            f"{k[6:]} {v:.4g}" for k, v in found.items() if k.startswith("train/")
        ]
        errors = {k[4:]: v for k, v in found.items() if k.startswith("val/")}
        done = trainer.global_step
        spent = (monotonic() - self.start) / max(1, done - self.first)
        left = timedelta(seconds=round(spent * max(0, self.total - done)))
        self.say(
            f"step {done} of {self.total}  losses: {', '.join(losses)}  "
            f"errors: {_listed(errors) or 'no validation'}  {left} left"
        )


def _listed(errors: Mapping[str, float]) -> str:
    return ", ".join(
        _with_unit(k, f"{v:.4g}") for k, v in errors.items() if k != "score"
    )


def _with_unit(name: str, value: str) -> str:
    return f"{name} {value} {_UNITS.get(name, '')}".rstrip()


class AgainstStart(Callback):
    """Validation errors before the first step of a fine-tuning, and of its result.

    Args:
        save: Knows the errors of what it has written.
        say: Says how they compare.
    """

    def __init__(self, save: SaveWeights, say: Say) -> None:
        self.save, self.say = save, say
        self.before: Metrics = {}

    def on_train_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Measure the start; a resumed run knows it from its checkpoint."""
        if trainer.global_step == 0 and trainer.datamodule is not None:  # type: ignore[attr-defined]
            loader = trainer.datamodule.val_dataloader()  # type: ignore[attr-defined]
            self.before = _measure(pl_module, loader)  # type: ignore[arg-type]

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say it, in a line or two."""
        if trainer.is_global_zero:
            for line in compare(self.before, self.save.written):
                self.say(line)

    def state_dict(self) -> dict[str, Any]:
        """Goes into checkpoints."""
        return {"before": self.before}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Comes out of them."""
        self.before = dict(state_dict["before"])


def _measure(module: Validated, loader: Any) -> Metrics:
    """Errors of a module as it stands."""
    assert isinstance(module, pl.LightningModule)
    training = module.training
    module.eval()
    module.forget()
    with torch.no_grad():
        for k, batch in enumerate(loader):
            module.validation_step(batch.to(module.device), k)
    found = module.metrics()
    module.forget()
    module.train(training)
    return found


def compare(before: Metrics, after: Metrics) -> list[str]:
    """Lines that compare errors with those of the start; none without any."""
    both = [k for k in after if k in before and k != "score"]
    if not both:
        return []
    changes = [_with_unit(k, f"{before[k]:.4g} -> {after[k]:.4g}") for k in both]
    lines = [f"validation errors, start -> now: {', '.join(changes)}"]
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
