"""Ends of a run from outside: a signal, a time limit, or a disk that is full."""

import datetime as dt
import errno
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from ase_physml.errors import WriteError
from ase_physml.jobs.disk import reason

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class TrainingStopped(Exception):  # noqa: N818
    """A signal has ended a run.

    Attributes:
        signal: The signal.
        steps: Steps that the checkpoint keeps; None if training had not begun.
    """

    def __init__(self, signum: int, steps: int | None = None) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signal, self.steps = signal.Signals(signum), steps


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def stop_early() -> Iterator[None]:
    """Context in which, until training begins, a signal raises a `TrainingStopped`."""

    def stop(signum: int, _frame: FrameType | None) -> None:
        raise TrainingStopped(signum)

    if not _in_main_thread():
        yield
        return
    before = {one: signal.signal(one, stop) for one in SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class StopOnSignal(Callback):
    """Stop at SIGTERM or SIGINT: the step is finished, and a checkpoint written.

    A validation that is under way is finished too. To be listed after the callback that
    averages weights, whose state goes into the checkpoint.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.received: int | None = None
        self._trainer: pl.Trainer | None = None

    def on_train_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Take over from Lightning, whose own handler writes nothing.

        It also communicates between processes wherever they happen to be; and it puts
        the handlers back that were there before it.
        """
        self._trainer = trainer
        if _in_main_thread():
            for one in SIGNALS:
                signal.signal(one, self._receive)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self.received is not None and signum == signal.SIGINT:
            raise KeyboardInterrupt  # asked for twice: at once
        self.received = signum
        launcher: Any = self._trainer.strategy.launcher if self._trainer else None
        if hasattr(launcher, "kill"):
            launcher.kill(signum)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Between two steps of an epoch; its end is for `on_train_epoch_end`."""
        if batch_idx + 1 < trainer.num_training_batches:
            self._stop_if_asked(trainer)

    def on_train_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """After the validation."""
        self._stop_if_asked(trainer)

    def _stop_if_asked(self, trainer: pl.Trainer) -> None:
        asked = self.received is not None
        if trainer.world_size > 1:
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if asked:
            trainer.save_checkpoint(self.checkpoint)
            raise TrainingStopped(self.received or signal.SIGTERM, trainer.global_step)


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


@contextmanager
def full_disk(out: Path) -> Iterator[None]:
    """Context that makes one line of a full disk: files are written whole or not.

    Raises:
        WriteError: There is no room to write.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise WriteError(
            f"{out}: cannot be written ({reason(error)}); what was complete is "
            "kept: make room, and go on with --resume last"
        ) from error
