"""Progress of a long verb: a bar in a terminal, lines in a log file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import log
from time import perf_counter
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

# Without a terminal, a line for each such part of the whole ...
_PART = 0.05
# ... of which those that count nothing done come no sooner than this, in seconds.
_PATIENCE = 10.0


class Progress:
    """Progress of a known or unknown number of things, on stderr.

    Args:
        what: Name of what is done, for people.
        total: Number of things to do; None if nobody knows.
    """

    def __init__(self, what: str, total: int | None) -> None:
        self.what, self.total = what, total
        self.done = 0
        self._share = 0.0  # of things begun
        self._state = ""
        self._told, self._told_at = 0.0, perf_counter()
        self._began = perf_counter()
        self._bars: tuple[Bars, TaskID] | None = None

    @contextmanager
    def shown(self) -> Iterator["Progress"]:
        """Show it for as long as the ``with`` block."""
        from rich.console import Console

        console = Console(stderr=True)
        if not console.is_terminal:
            yield self
            return
        with _bars(console) as bars:
            self._bars = bars, bars.add_task(self.what, total=self.total, state="")
            yield self
        self._bars = None

    def advance(self, count: int, state: str = "") -> None:
        """Count so many more as done."""
        self.reach(self.done + count, state=state)

    def reach(self, done: int, share: float = 0.0, state: str = "") -> None:
        """Set the number done in all, and the share done of others that are begun."""
        counted = done > self.done
        self.done, self._share, self._state = done, share, state
        if self._bars is not None:
            bars, task = self._bars
            count = f"{done:,} of {self.total:,}" if self.total else f"{done:,}"
            bars.update(task, completed=done + share, state=f"{count}  {state}")
        elif self._is_due(counted):
            self._told, self._told_at = done + share, perf_counter()
            typer.echo(self._line(), err=True)

    def _is_due(self, counted: bool) -> bool:
        now = self.done + self._share
        if self.total is None:  # 1, 2, 4, 8 ...
            return counted and now >= 2 * self._told
        if counted and self.done >= self.total:
            return True
        if now < self._told + max(_PART * self.total, 1e-9):
            return False
        return counted or perf_counter() - self._told_at > _PATIENCE

    def _line(self) -> str:
        seconds = perf_counter() - self._began
        parts = [f"{self.done:,}"]
        if self.total is not None:
            now = self.done + self._share
            percent = 100 * now / max(self.total, 1)
            parts = [f"{self.done:,} of {self.total:,} ({percent:.0f} %)"]
        if self.done and seconds > 0:
            parts.append(_rate(self.done / seconds))
        if self.total is not None and self.done + self._share > 0:
            left = (self.total - now) * seconds / now
            parts.append(f"{_clock(left)} left")
        return f"{self.what}: " + ", ".join([*parts, *filter(None, [self._state])])


def _bars(console: "Console") -> "Bars":
    from rich import progress

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[state]}", markup=False),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _rate(rate: float) -> str:
    return f"{rate:.3g} a second" if rate >= 1 else f"{60 * rate:.3g} a minute"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Progress by numbers.

    Args:
        what: Name of what is done, for people.
        total: Number of things to do; None if nobody knows.

    Yields:
        Function of the number newly done.
    """
    with Progress(what, total).shown() as progress:
        yield lambda count: progress.advance(count) if count else None


@contextmanager
def falling(
    what: str, total: int, fmax: float
) -> Iterator[Callable[[int, int, float], None]]:
    """Progress of relaxations, by how far their forces have come.

    Args:
        what: Name of what is done, for people.
        total: Number of relaxations.
        fmax: Threshold of the force, eV/Å.

    Yields:
        Function of an index, a step and its largest force, eV/Å; a force of 0 says that
        the one of this index is through, however it went.
    """
    first: dict[int, float] = {}
    shares: dict[int, float] = {}
    done, begun = 0, 0.0
    with Progress(what, total).shown() as progress:

        def show(index: int, step: int, force: float) -> None:
            nonlocal done, begun
            first.setdefault(index, force)
            before = shares.get(index, 0.0)
            now = share_of_the_way(first[index], force, fmax)
            shares[index] = now
            done += (now == 1.0) - (before == 1.0)
            begun += now * (now < 1.0) - before * (before < 1.0)
            state = f"step {step}, fmax {force:.4f} eV/Å" if force else ""
            progress.reach(done, begun, state)

        yield show


def share_of_the_way(first: float, now: float, goal: float) -> float:
    """Share of its way that a force has come, 0 to 1, in logarithms of the force."""
    if now <= goal or first <= goal:
        return 1.0
    return max(0.0, min(1.0, log(first / now) / log(first / goal)))
