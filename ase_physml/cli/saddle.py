"""Verb `physml saddle`: saddles near guesses, and what they join."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_physml.cli.options import (
    Device,
    Dtype,
    FloatType,
    Fmax,
    Folder,
    Jobs,
    Model,
    Overwrite,
    Resume,
    Steps,
    ZeroPoint,
)
from ase_physml.cli.outputs import results_in, stoppable
from ase_physml.cli.progress import counting
from ase_physml.cli.shared import (
    beside,
    make_calculator_for,
    make_console,
    make_table,
    print_errors,
)
from ase_physml.errors import PhysMLError, StructureError

if TYPE_CHECKING:
    from ase import Atoms
    from rich.console import Console

    from ase_physml.workflows.saddles.search import Saddle

_FORMAT = 1
# Guesses that are searched together, and whose outcome is written together.
_TOGETHER = 64
_COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}


def saddle(
    inputs: Annotated[
        list[Path], typer.Argument(help="Files of guesses (all frames).")
    ],
    model: Model = "reactions.pt",
    out: Folder = Path("saddles"),
    fmax: Fmax = 0.01,
    steps: Steps = 120,
    zpe: ZeroPoint = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
    dtype: FloatType = Dtype.float64,
    jobs: Jobs = 1,
) -> None:
    """Find saddles near guesses, and the minima that each joins, downhill.

    Each gets NAME.saddle.json, .xyz, .traj (downhill both ways) and .molden. Exit code
    1 if one was not found or joins no two minima.
    """
    from ase_physml.calculators.provenance import identities_of
    from ase_physml.workflows.inputs import read_inputs
    from ase_physml.workflows.saddles.files import SUFFIXES, has_saddle, write_saddle
    from ase_physml.workflows.saddles.search import Saddle, SaddleSettings, find_saddles

    if not fmax > 0:
        raise typer.BadParameter(
            f"must be above 0 eV/Å, got {fmax}", param_hint="--fmax"
        )
    missing = [path for path in inputs if not path.is_file()]
    if missing:
        raise StructureError(f"{missing[0]}: no such file")
    calculator = make_calculator_for(model, device, dtype, jobs)
    results: dict[str, Any] = dict(read_inputs(map(str, inputs)))
    guesses: dict[str, Atoms] = {
        name: one for name, one in results.items() if not isinstance(one, PhysMLError)
    }
    written = [beside(out / name, end) for name in guesses for end in SUFFIXES]
    settings = SaddleSettings(fmax, steps, zero_point=zpe)
    made_of = identities_of("saddle", _FORMAT, guesses, calculator, settings)
    console = make_console()
    with (
        stoppable(f"saddles that are done are kept in {out}/; go on with --resume"),
        results_in(out, written, resume=resume, overwrite=overwrite) as place,
        counting("saddles", len(guesses)) as advance,
    ):
        if place.going_on:
            kept = [name for name in guesses if has_saddle(out / name, made_of[name])]
            for name in kept:
                del guesses[name], results[name]
            advance(len(kept))
            console.print(f"{len(kept)} done already, and kept: see their .saddle.json")
        place.begin()
        names = list(guesses)
        # In parts, so that what is done is on the disk.
        for start in range(0, len(names), _TOGETHER):
            some = names[start : start + _TOGETHER]
            found = find_saddles([guesses[n] for n in some], calculator, settings)
            for name, one in zip(some, found, strict=True):
                results[name] = one
                if isinstance(one, Saddle):
                    write_saddle(out / name, one.certificate, one, made_of[name])
            advance(len(some))
    _print(console, results, model)
    console.print(f"written to {out}/", markup=False, soft_wrap=True)
    failed = [
        one
        for one in results.values()
        if isinstance(one, Saddle) and one.certificate.grade == "FAIL"
    ]
    if print_errors(results) or failed:
        raise typer.Exit(1)


def _print(
    console: "Console", results: "dict[str, Saddle | Exception]", model: str
) -> None:
    from rich.markup import escape

    table = make_table(f"saddles on the surface of {model}")
    table.add_column("name", overflow="fold")
    table.add_column("verdict")
    for column in ("one way (eV)", "the other (eV)", "mode (cm-1)", "steps"):
        table.add_column(column, justify="right")
    for name, one in results.items():
        if isinstance(one, Exception):
            table.add_row(escape(name), "[red]failed[/]")
            continue
        grade = one.certificate.grade
        heights = ["none", "none"]
        if one.barriers is not None:
            heights = [f"{height:.3f}" for height in one.barriers]
            if one.barrier_std is not None:
                heights[0] += f" ± {one.barrier_std:.3f}"
        wrong = one.vibrations.imaginary
        mode = f"{-wrong[0]:.0f}i" if len(wrong) else ""
        colour = _COLOURS[grade]
        count = str(len(one.forces) - 1)
        table.add_row(escape(name), f"[{colour}]{grade}[/]", *heights, mode, count)
    console.print(table)
    for name, one in results.items():
        if isinstance(one, Exception):
            continue
        text = f"{name}: {one.certificate.reason}"
        if one.zero_point is not None:
            first, second = one.zero_point
            text += f"; zero-point energies add {first:+.3f} and {second:+.3f} eV"
        console.print(text, markup=False, soft_wrap=True)
