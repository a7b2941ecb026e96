"""Verbs of `physml data`: import, info, label and split."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_physml.cli.options import (
    AnyModel,
    FormerCalculator,
    FormerProcesses,
    Jobs,
    Limit,
    Overwrite,
    Resume,
    Scheduler,
    Seed,
)
from ase_physml.cli.outputs import check_file, kept_beside, stoppable
from ase_physml.cli.progress import counting
from ase_physml.cli.shared import open_workers
from ase_physml.cli.table import table
from ase_physml.data.importers import BUILT_IN

if TYPE_CHECKING:
    from rich.console import Console

    from ase_physml.data.dataset import RaggedSet
    from ase_physml.data.importers.importer import Source
    from ase_physml.data.label import Report
    from ase_physml.data.summary import Summary

app = typer.Typer(help="Sets of structures and molecules.", no_args_is_help=True)
app.command()(table)


class Precision(StrEnum):
    """Precision of positions and forces in a set."""

    f8 = "f8"
    f4 = "f4"


Out = Annotated[Path, typer.Argument(help="HDF5 set to write.")]
Floats = Annotated[Precision, typer.Option(help="Of positions and forces.")]
Level = Annotated[
    str | None, typer.Option(help="Method and basis, where the file does not say.")
]


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="File to import.")],
    out: Out,
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            help=f"auto, {', '.join(BUILT_IN)}, or one of your own.",
        ),
    ] = "auto",
    energy: Annotated[
        str | None,
        typer.Option(
            help="QM9: U0-ZPVE (electronic, the default) or U0. OC20 S2EF: adsorption "
            "(the default) or total."
        ),
    ] = None,
    exclude: Annotated[
        Path | None,
        typer.Option(help="QM9: file of identifiers to leave out."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            help="Transition1x: data, train, val, test; OC20 LMDB: relaxed, initial."
        ),
    ] = None,
    stationary: Annotated[
        bool,
        typer.Option(
            "--stationary",
            help="Transition1x: reactants, transition states and products only.",
        ),
    ] = False,
    per_reaction: Annotated[
        int | None,
        typer.Option(min=1, help="Transition1x: frames of each reaction, at random."),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="LMDB: run code that its pickles name; by default none is run.",
        ),
    ] = False,
    energy_unit: Annotated[
        str | None, typer.Option(help="eV (default), Hartree, kcal/mol, kJ/mol ...")
    ] = None,
    forces_unit: Annotated[
        str | None, typer.Option(help="Default: the energy unit per angstrom.")
    ] = None,
    energy_key: Annotated[
        str | None, typer.Option(help="Key of the energies, if not the usual one.")
    ] = None,
    forces_key: Annotated[
        str | None, typer.Option(help="Key of the forces; '' for none.")
    ] = None,
    level_of_theory: Level = None,
    equilibrium: Annotated[
        bool | None,
        typer.Option(help="Whether all frames are minima, if the format does not say."),
    ] = None,
    precision: Floats = Precision.f8,
    limit: Limit = None,
    overwrite: Overwrite = False,
) -> None:
    """Convert any known format to the project's HDF5 layout (eV, Å)."""
    from ase_physml.data.importers.importer import Options
    from ase_physml.data.importers.opening import convert, open_source

    check_file(out, overwrite=overwrite)
    options = Options(
        energy=energy,
        exclude=exclude,
        part=part,
        stationary=stationary,
        per_reaction=per_reaction,
        energy_unit=energy_unit,
        forces_unit=forces_unit,
        energy_key=energy_key,
        forces_key=forces_key,
        trust=trust,
    )
    opened = open_source(source, kind, options)
    stated = {"level_of_theory": level_of_theory, "equilibrium": equilibrium}
    changes = {k: v for k, v in stated.items() if v is not None}
    total = opened.count()
    with (
        stoppable(f"{out} is not written; nothing of it is kept, import again"),
        counting("importing", total if limit is None else limit) as advance,
    ):
        written = convert(
            opened,
            out,
            changes,
            precision=precision.value,
            limit=limit,
            on_frame=advance,
        )
    _print_import(opened, out, written, level_of_theory)


@app.command()
def info(
    path: Annotated[Path, typer.Argument(help="HDF5 set.", metavar="FILE")],
) -> None:
    """Check every value of a set, and show what is in it."""
    from rich.markup import escape
    from rich.table import Table

    from ase_physml.data.dataset import check
    from ase_physml.data.summary import summarise

    data = check(path)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(data, summarise(data)).items():
        table.add_row(name, escape(value))
    _console().print(table)


@app.command()
def label(
    source: Annotated[Path, typer.Argument(help="Any file that import reads.")],
    out: Out,
    model: AnyModel = None,
    less: Annotated[
        str | None,
        typer.Option(
            help="Instead: a calculator to subtract from the set's own labels; what is "
            "left trains a potential on this baseline. At minima and other stationary "
            "points (equilibrium sets) its forces are what is left."
        ),
    ] = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    level_of_theory: Level = None,
    precision: Floats = Precision.f8,
    resume: Resume = False,
    overwrite: Overwrite = False,
    former_calculator: FormerCalculator = None,
    former_processes: FormerProcesses = None,
) -> None:
    """Add energies and forces with an ASE calculator, or subtract them from a set's.

    Run again to resume.
    """
    from ase_physml.calculators.names import level_of, make_calculator
    from ase_physml.calculators.provenance import identity_of
    from ase_physml.data.importers.opening import open_source
    from ase_physml.data.label import label as run
    from ase_physml.data.label import plan

    calculator = model or former_calculator
    if (calculator is None) == (less is None):
        raise typer.BadParameter("give either --model or --less")
    name = calculator or less or ""
    check_file(out, overwrite=overwrite, resume=resume)
    opened = open_source(source)
    if calculator is not None:
        level_of_theory = level_of_theory or level_of(calculator)
    metadata, combine = plan(
        opened.metadata, source.name, name, level_of_theory, subtract=less is not None
    )
    with (
        stoppable(kept_beside(out)),
        open_workers(scheduler, former_processes or jobs) as workers,
        counting("labelling", opened.count()) as advance,
    ):
        report = run(
            opened,
            out,
            make_calculator,
            name,
            metadata,
            combine=combine,
            workers=workers,
            precision=precision.value,
            made_of=identity_of(name),
            afresh=overwrite,
            on_frames=advance,
        )
    _print_labels(out, report)


@app.command()
def split(
    source: Annotated[Path, typer.Argument(help="HDF5 set.")],
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    val: Annotated[float, typer.Option(help="Part for validation.")] = 0.05,
    test: Annotated[float, typer.Option(help="Part for the final test.")] = 0.15,
    seed: Seed = 0,
    by: Annotated[
        str | None,
        typer.Option(
            help="What stays together: a reaction (frames named REACTION/...), a "
            "composition, or equal values of a column (smiles, name)."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw training, validation and test frames, and store them by index."""
    from ase_physml.data.dataset import RaggedSet
    from ase_physml.data.groups import groups_of
    from ase_physml.data.index_split import make_split

    check_file(out, overwrite=overwrite)
    data = RaggedSet(source)
    groups = None if by is None else groups_of(data, by)
    drawn = make_split(len(data), (val, test), seed, groups)
    drawn.save(out)
    _console().print(
        f"{out}: {len(drawn.train):,} for training, {len(drawn.val):,} for validation, "
        f"{len(drawn.test):,} for the test",
        markup=False,
        soft_wrap=True,
    )


def _rows(data: "RaggedSet", found: "Summary") -> dict[str, str]:
    from ase.data import chemical_symbols

    meta = data.metadata
    small, mean, large = found.atoms
    span, force = found.energy_per_atom, found.largest_force
    symbols = [f"{chemical_symbols[z]} {n:,}" for z, n in found.elements.items()]
    said = {None: "not stated", True: "yes", False: "no"}
    return {
        "file": str(data.path),
        "size on disk": f"{data.path.stat().st_size / 1e6:.1f} MB",
        "frames": f"{found.frames:,} ({found.periodic:,} periodic)",
        "atoms": f"{small} to {large}, mean {mean:.1f}",
        "elements": ", ".join(symbols),
        "energies": f"{found.energies:,}",
        "energy per atom": f"{span[0]:.3f} to {span[1]:.3f} eV" if span else "none",
        "forces": f"{found.forces:,}",
        "largest force": "none" if force is None else f"{force:.3f} eV/Å",
        "duplicates": f"{found.duplicates:,} (same distances to 0.01 Å)",
        "level of theory": meta.level_of_theory or "not stated",
        "energy kind": meta.energy_kind,
        "equilibrium": said[meta.equilibrium],
        "source": meta.source or "not stated",
        **{str(key): str(value) for key, value in meta.extra.items()},
    }


def _print_import(
    opened: "Source", out: Path, written: int, level_of_theory: str | None
) -> None:
    console = _console()
    console.print(f"{out}: {written:,} frames", markup=False)
    for key, count in sorted(opened.notes.labels.items()):
        console.print(f"  {count:,} with {key!r}", markup=False)
    for reason, count in opened.notes.left_out.most_common():
        console.print(f"  {count:,} left out: {reason}", style="yellow", markup=False)
    if not (level_of_theory or opened.metadata.level_of_theory):
        console.print(
            "  level of theory not stated; add --level-of-theory", style="yellow"
        )


def _print_labels(out: Path, report: "Report") -> None:
    console = _console()
    console.print(f"{out}: {report.labelled:,} frames labelled", markup=False)
    if report.resumed:
        console.print(f"  {report.resumed:,} results were there from an earlier run")
    for failure in report.failures[:5]:
        text = f"  frame {failure.index} left out: {failure.reason}"
        console.print(text, style="yellow", markup=False)
    if report.failures:
        console.print(
            f"  {len(report.failures):,} left out, listed in {out}.failures.csv",
            style="yellow",
            markup=False,
        )


def _console() -> "Console":
    from rich.console import Console

    console = Console(highlight=False)
    # A pipe has no width of its own: leave room for a path on one line.
    return console if console.is_terminal else Console(highlight=False, width=120)
