"""`physml conformers`: SMILES in, conformers out."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_physml.cli.options import (
    AsJson,
    Conformations,
    Fmax,
    FormerModel,
    Jobs,
    MaxAtoms,
    Molecules,
    Overwrite,
    Resume,
    Scheduler,
    Seed,
    SmilesColumn,
    Steps,
)
from ase_physml.cli.outputs import check_file, kept_beside, stoppable
from ase_physml.cli.progress import counting
from ase_physml.cli.shared import make_console, make_table, open_workers

if TYPE_CHECKING:
    from rich.console import Console

    from ase_physml.workflows.conformers.runs import LibraryReport

# With more molecules than this, only totals are printed.
_LISTED = 50
_NAMED = 5


def conformers(
    inputs: Molecules,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File: .sdf, .xyz or .h5.")
    ] = Path("conformers.sdf"),
    n: Annotated[int, typer.Option("-n", min=1, help="Of a molecule, at most.")] = 10,
    conformations: Conformations = "physchem_qm9.pt",
    former_model: FormerModel = None,
    relax: Annotated[
        str | None,
        typer.Option(
            help="Calculator: qm9.pt (H C N O, fast), organic_delta.pt (and F P S Cl "
            "Br, accurate), tblite:GFN2-xTB ... Default: none."
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Nearer than this, two are one: RMSD, Å.")
    ] = 0.2,
    fmax: Fmax = 0.03,
    steps: Steps = 300,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    smiles_column: SmilesColumn = None,
    max_atoms: MaxAtoms = None,
    timeout: Annotated[
        float | None, typer.Option(min=1, help="Of a molecule's embeddings, s [60].")
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Make conformers from predicted distances, with the SMILES' stereochemistry.

    Exit code 1 if a molecule failed; the others are written all the same.
    """
    from ase_physml.workflows.conformers.embedding import ConformerSettings
    from ase_physml.workflows.conformers.runs import read_molecules, run_conformers

    check_file(out, overwrite=overwrite, resume=resume)
    settings = ConformerSettings(
        n,
        seed,
        threshold,
        fmax=fmax,
        steps=steps,
        max_atoms=max_atoms or ConformerSettings.max_atoms,
        timeout=timeout or ConformerSettings.timeout,
    )
    molecules = read_molecules(inputs, smiles_column)
    console = make_console()
    with (
        stoppable(kept_beside(out)),
        open_workers(scheduler, jobs) as workers,
        counting("conformers", len(molecules)) as advance,
    ):
        report = run_conformers(
            molecules,
            out,
            former_model or conformations,
            relax,
            settings,
            workers=workers,
            resume=True,
            afresh=overwrite,
            on_molecules=advance,
        )
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in report.rows], indent=2))
    else:
        if len(molecules) <= _LISTED:
            _print_table(console, report)
        _print_totals(console, report, out)
    if report.failures:
        _print_failures(report, out)
        raise typer.Exit(1)


def _print_table(console: "Console", report: "LibraryReport") -> None:
    from rich.markup import escape

    table = make_table("conformers")
    table.add_column("name", overflow="fold")
    table.add_column("formula", overflow="fold")
    for column in ("number", "off prediction (Å)"):
        table.add_column(column, justify="right")
    relaxed = any(row.energy is not None for row in report.rows)
    for column in ("energy (eV)", "spread (eV)", "weight of first") if relaxed else ():
        table.add_column(column, justify="right")
    for row in report.rows:
        error = "" if row.error is None else f"{row.error:.3f}"
        cells = [escape(row.name), row.formula, str(row.count), error]
        if row.energy is not None:
            cells += [f"{row.energy:.4f}", f"{row.spread:.4f}", f"{row.weight:.3f}"]
        table.add_row(*cells)
    console.print(table)


def _print_totals(console: "Console", report: "LibraryReport", out: Path) -> None:
    count = sum(row.count for row in report.rows)
    if count:
        console.print(
            f"{out}: {count:,} conformers of {len(report.rows):,} molecules",
            markup=False,
            soft_wrap=True,
        )
    for note, times in Counter(row.note for row in report.rows if row.note).items():
        console.print(
            f"{times:,} of {len(report.rows):,} molecules: {note}",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    dropped = [(row.name, why) for row in report.rows for why in row.dropped]
    for name, reason in dropped[:_NAMED]:
        console.print(f"{name}: {reason}", style="yellow", markup=False, soft_wrap=True)
    if len(dropped) > _NAMED:
        console.print(f"{len(dropped):,} conformers left out in all", style="yellow")


def _print_failures(report: "LibraryReport", out: Path) -> None:
    from rich.console import Console

    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    for failure in report.failures[:_LISTED]:
        stderr.print(f"{failure.name}: {failure.reason}", style="red", markup=False)
    stderr.print(
        f"{len(report.failures):,} failed, listed in {out}.failures.csv", markup=False
    )
