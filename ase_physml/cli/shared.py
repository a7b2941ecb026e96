"""Parts that several verbs share: choices, tables, workers, lines about errors."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ase_physml.cli.options import Dtype
from ase_physml.errors import DataError, PhysMLError, PotentialError

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator
    from rich.console import Console
    from rich.table import Table

    from ase_physml.jobs.failures import Failure
    from ase_physml.jobs.pool import Workers
    from ase_physml.workflows.uncertainty import Doubt

_NAMED = 20  # of more names than this, two stand for all
_SHOWN = 10  # failures that are printed; the others are only in the file


def name_some(names: Sequence[str]) -> str:
    """All names, or the first and the last of many."""
    return ", ".join(names) if len(names) <= _NAMED else f"{names[0]} ... {names[-1]}"


def print_lines(failures: "Sequence[Failure]", out: Path) -> None:
    """Print the first lines of a table that failed, on stderr, and where all are."""
    from rich.console import Console

    if not failures:
        return
    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    for failure in failures[:_SHOWN]:
        text = f"line {failure.index}: {failure.reason}"
        stderr.print(text, style="red", markup=False)
    stderr.print(
        f"{len(failures):,} failed, listed in {out}.failures.csv", markup=False
    )


def beside(stem: Path, suffix: str) -> Path:
    """File of a stem and a suffix; unlike `with_suffix`, dots of the stem are kept."""
    return stem.with_name(stem.name + suffix)


def make_console(stderr: bool = False) -> "Console":
    """Console for tables on stdout, or beside what scripts read there."""
    from rich.console import Console

    # A pipe has no width of its own: leave room for long names.
    width = None if sys.stdout.isatty() else 120
    return Console(highlight=False, width=width, stderr=stderr)


def make_table(title: str) -> "Table":
    """Table without lines between cells."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    return Table(
        title=escape(title),
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )


@contextmanager
def open_workers(scheduler: str | None, processes: int = 1) -> "Iterator[Workers]":
    """Workers of a Dask cluster, or processes of this machine where none is named.

    Raises:
        DataError: No scheduler answers there, or Dask is not installed.
    """
    from rich.console import Console

    from ase_physml.jobs.pool import Processes

    if scheduler is None:
        yield Processes(processes)
        return
    if processes != 1:
        raise DataError(
            "processes are of this machine, and a scheduler has its own: give one of "
            "the two"
        )
    from ase_physml.jobs.dask import DaskWorkers

    with DaskWorkers(scheduler) as workers:
        if not workers.threads:
            Console(stderr=True, highlight=False).print(
                f"{scheduler} has no workers yet: waiting for the first", markup=False
            )
        yield workers


def make_calculator_for(
    model: str, device: str, dtype: Dtype, jobs: int = 1, compiled: bool = False
) -> "Calculator":
    """Calculator of a name; some options are of potentials, one of all others.

    Raises:
        PotentialError: No such calculator, one without forces, or an option that is not
            for it.
    """
    from ase_physml.calculators.names import (
        as_calculator,
        is_potential,
        make_calculator,
    )

    if is_potential(model):
        if jobs > 1:
            raise PotentialError(
                f"--jobs {jobs}: {model} computes batches, in as many threads as "
                "OMP_NUM_THREADS says; processes are for calculators that compute one "
                "structure at a time, such as tblite"
            )
        return make_calculator(
            model, device=device, dtype=dtype.value, compiled=compiled
        )
    given = {"--device": device != "auto", "--dtype": dtype != "float64"}
    for option, asked in {**given, "--compiled": compiled}.items():
        if asked:
            raise PotentialError(f"{option} is of potentials, and {model} is none")
    if jobs > 1:
        from ase_physml.calculators.processes import ProcessesCalculator

        return ProcessesCalculator(model, jobs)
    return as_calculator(model)


def _threshold(calculator: "Calculator") -> float | None:
    """Spread that few atoms exceed, eV/Å; None unless a committee has measured it."""
    calibration = getattr(calculator, "calibration", None)
    return None if calibration is None else calibration.threshold


def print_doubts(
    console: "Console",
    doubts: "Mapping[str, Doubt | None]",
    calculator: "Calculator",
    export: Path | None,
) -> None:
    """Print a line for each structure that a committee doubts; export them."""
    from rich.markup import escape

    from ase_physml.calculators.names import name_of
    from ase_physml.workflows.uncertainty import write_doubtful

    threshold = _threshold(calculator)
    if threshold is None:
        return
    above = {n: d for n, d in doubts.items() if d is not None and d.largest > threshold}
    for name, doubt in above.items():
        console.print(
            f"[yellow]{escape(name)}: the forces on atoms {doubt.about(threshold)} are "
            f"uncertain by up to {doubt.largest:.2f} eV/Å (threshold "
            f"{threshold:.2f})[/]",
            soft_wrap=True,
        )
    if export is not None:
        count = write_doubtful(export, above, name_of(calculator))
        said = (
            f"{count} uncertain structures written to {export}"
            if count
            else (f"nothing is uncertain: {export} is not written")
        )
        console.print(said, markup=False, soft_wrap=True)


def check_export(calculator: "Calculator", export: Path | None) -> None:
    """Refuse, before any work, to export what nobody will be uncertain about.

    Raises:
        PotentialError: The potential is no committee, or has no threshold.
    """
    from ase_physml.calculators.names import name_of

    if export is None or _threshold(calculator) is not None:
        return
    raise PotentialError(
        f"--uncertain {export}: {name_of(calculator)} is not a committee with a "
        "measured threshold; make one with `physml committee`"
    )


def print_errors(results: Mapping[str, object]) -> bool:
    """Print a line on stderr for each failure among results; whether there was any."""
    from rich.console import Console
    from rich.markup import escape

    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    failed = {n: r for n, r in results.items() if isinstance(r, Exception)}
    for name, error in failed.items():
        kind = "" if isinstance(error, PhysMLError) else f"{type(error).__name__}: "
        stderr.print(f"[bold red]{escape(name)}:[/] {escape(kind + str(error))}")
    return bool(failed)
