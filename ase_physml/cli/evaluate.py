"""Verb `physml evaluate`: how far calculators can be trusted."""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_physml.cli.options import (
    AsJson,
    Folder,
    Jobs,
    Limit,
    Overwrite,
    Resume,
    Scheduler,
)
from ase_physml.cli.outputs import results_in, stoppable
from ase_physml.cli.progress import Progress
from ase_physml.cli.shared import make_console, make_table, open_workers
from ase_physml.errors import PhysMLError
from ase_physml.jobs.disk import write_json, writing

if TYPE_CHECKING:
    from rich.console import Console

    from ase_physml.evaluation.candidate import Candidate, Molecule

_SUITES = (
    "structure,textbook,conformers,torsions,vibrations,assembly,reaction,saddles,"
    "dimers,dissociation,dynamics,smoothness,extensivity,masked"
)
_REACTIONS = 100


class Part(StrEnum):
    """Parts of a split that no potential was trained on."""

    VAL = "val"
    TEST = "test"


def evaluate(
    calculators: Annotated[
        list[str], typer.Argument(help="qm9.pt, tblite:GFN2-xTB, emt, module:factory.")
    ],
    out: Folder = Path("report"),
    suites: Annotated[str, typer.Option(help="Names with commas between.")] = _SUITES,
    molecules: Annotated[
        int, typer.Option(min=1, help="To try them on; 100 for figures to quote.")
    ] = 8,
    data: Annotated[
        Path | None, typer.Option(help="HDF5 set to take molecules from.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="Of that set: only one part.")
    ] = None,
    part: Annotated[
        Part, typer.Option(help="Of the split: val to choose by, test to quote.")
    ] = Part.TEST,
    reactions: Annotated[
        Path | None,
        typer.Option(
            help="HDF5 set of reactions: NAME/r, /ts and /p; else those listed."
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Calculator that reactions are held to.")
    ] = None,
    limit: Limit = _REACTIONS,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Measure calculators side by side; write one page to read, and JSON.

    A run that was killed goes on where it was when it is started again.
    """
    from ase_physml.calculators.names import make_calculator
    from ase_physml.calculators.provenance import identity_of
    from ase_physml.evaluation import measure
    from ase_physml.evaluation.candidate import REACTIONS

    names = [name.strip() for name in suites.split(",") if name.strip()]
    measure.check_suites(names)
    tried = _molecules(data, split, part, molecules)
    held_to = None if reference is None else make_calculator(reference)
    most = limit or _REACTIONS
    settings = {
        "molecules": tried,
        "reactions": _reactions(reactions or REACTIONS),
        "reference": None if reference is None else identity_of(reference),
        "limit": most,
    }
    candidates: list[Candidate] = []
    for name in dict.fromkeys(calculators):
        candidate = _candidate(name, tried, settings)
        candidate.reactions = reactions or REACTIONS
        candidate.reference, candidate.held_to = held_to, reference or ""
        candidate.count = most
        candidates.append(candidate)
    console = make_console(stderr=as_json)
    written = [out / "report.json", out / "report.html"]
    journals = [
        measure.journal(out / "cases", s, suite) for suite in names for s in candidates
    ]
    with (
        stoppable(f"measured cases are kept in {out}/; run the same command again"),
        results_in(
            out,
            [*written, *(journals if overwrite else [])],
            resume=resume,
            overwrite=overwrite,
        ) as place,
    ):
        place.begin()
        tables = _measure(candidates, names, out, scheduler, jobs)
    failed = sum(len(t["errors"]) for by in tables.values() for t in by.values())
    if failed:
        console.print(f"[yellow]{failed} cases failed; the report says which[/]")
    if as_json:
        typer.echo(_as_json(tables))
    else:
        _print_certificate(console, tables)
    console.print(f"report: {out / 'report.html'}", markup=False, soft_wrap=True)


def _measure(
    candidates: "list[Candidate]",
    suites: list[str],
    out: Path,
    scheduler: str | None,
    jobs: int,
) -> "dict[str, dict[str, Any]]":
    """Measure, and write the report."""
    from ase_physml.evaluation import measure
    from ase_physml.evaluation.page import write_report

    done: dict[tuple[str, str], float] = {}
    with Progress("measuring", len(candidates) * len(suites)).shown() as progress:

        def show(candidate: str, suite: str, count: int, total: int) -> None:
            done[candidate, suite] = count / total if total else 1.0
            through = sum(share == 1.0 for share in done.values())
            state = f"{suite} of {candidate}: {count:,} of {total:,} cases"
            progress.reach(through, sum(done.values()) - through, state)

        cases = out / "cases"
        if scheduler is None and jobs == 1:
            found = measure.evaluate(candidates, suites, cases, show)
        else:
            with open_workers(scheduler, jobs) as workers:
                found = measure.evaluate(candidates, suites, cases, show, workers)
    tables = measure.tables(found)
    with writing(out, "run the same command again to go on"):
        write_json(out / "report.json", tables, indent=1)
        write_report(out / "report.html", found, tables)
    return tables


def _as_json(tables: "dict[str, dict[str, Any]]") -> str:
    """Verdicts by suite and calculator: mark, number of cases, reasons."""
    from ase_physml.evaluation.certificate import verdicts

    found = {
        suite: {name: asdict(one) for name, one in by_candidate.items()}
        for suite, by_candidate in verdicts(tables).items()
    }
    return json.dumps(found, indent=2, ensure_ascii=False)


def _print_certificate(console: "Console", tables: "dict[str, dict[str, Any]]") -> None:
    """Print a verdict for each suite and calculator."""
    from rich.markup import escape

    from ase_physml.evaluation.certificate import COLOURS, verdicts

    found = verdicts(tables)
    names = list(dict.fromkeys(name for by in found.values() for name in by))
    table = make_table("against the limits that the report states")
    table.add_column("suite")
    for name in names:
        table.add_column(escape(name), overflow="fold")
    for suite, by_candidate in found.items():
        shown = (by_candidate[name] for name in names)
        cells = (f"[{COLOURS[v.mark]}]{v.mark}[/] {v.cases}" for v in shown)
        table.add_row(suite, *cells)
    console.print(table)


def _reactions(path: Path) -> dict[str, Any]:
    from ase_physml.jobs.file_hash import sha256
    from ase_physml.jobs.identity import CALLED

    return {CALLED: path.name, "sha256": sha256(path) if path.is_file() else ""}


def _molecules(
    data: Path | None, split: Path | None, part: Part, count: int
) -> "list[Molecule]":
    from ase_physml.data.index_split import Split
    from ase_physml.evaluation.candidate import from_set, listed

    if data is None:
        if split is not None:
            raise PhysMLError("--split is of the set that --data names")
        return listed(count)
    if split is None:
        return from_set(data, count)
    frames = getattr(Split.load(split), part.value)
    return from_set(data, count, frames.tolist())


def _candidate(
    name: str, molecules: "list[Molecule]", settings: dict[str, Any]
) -> "Candidate":
    """Candidate of a name, with the identity of its results."""
    from ase_physml.calculators.names import make_calculator
    from ase_physml.calculators.provenance import identity_of
    from ase_physml.evaluation.candidate import Candidate
    from ase_physml.jobs.identity import Identity

    about = Identity.of("evaluate", 1, calculator=identity_of(name), **settings)
    return Candidate(name, make_calculator(name), molecules, settings=about)
