"""`physml data`: import, info and label."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Sets of structures.", no_args_is_help=True)


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="File to import.")],
    out: Annotated[Path, typer.Argument(help="HDF5 set to write.")],
    kind: Annotated[
        str, typer.Option("--format", help="auto, ase, qm9, transition1x, ani1, ani1x")
    ] = "auto",
    qm9_energy: Annotated[
        str, typer.Option(help="U0-ZPVE (electronic energy) or U0, of QM9.")
    ] = "U0-ZPVE",
    exclude: Annotated[
        Path | None, typer.Option(help="File of QM9 identifiers to leave out.")
    ] = None,
    energy_unit: Annotated[
        str, typer.Option(help="eV, Hartree or kcal/mol, of files that ASE reads.")
    ] = "eV",
    level_of_theory: Annotated[
        str | None, typer.Option(help="Of the labels, if the format does not say.")
    ] = None,
    equilibrium: Annotated[
        bool | None,
        typer.Option(help="All frames are minima, if the format does not say."),
    ] = None,
) -> None:
    """Convert a file to the project's HDF5 layout (eV, Å)."""
    from dataclasses import replace

    from ase_physml.data.importers import Options, open_source
    from ase_physml.data.writer import RaggedWriter

    options = Options(qm9_energy, exclude, energy_unit)
    opened = open_source(source, kind, options)
    metadata = opened.metadata
    if level_of_theory is not None:
        metadata = replace(metadata, level_of_theory=level_of_theory)
    if equilibrium is not None:
        metadata = replace(metadata, equilibrium=equilibrium)
    with RaggedWriter(out, metadata) as writer, _bar("importing") as advance:
        for frame in opened.frames:
            writer.append(frame)
            advance(1)
    print(f"{out}: {writer.n_frames} frames")
    for text, count in opened.notes.items():
        print(f"  {count} x {text}")
    if not metadata.level_of_theory:
        print("  level of theory unknown: state it with --level-of-theory")


@app.command()
def info(path: Annotated[Path, typer.Argument(help="HDF5 set.")]) -> None:
    """Check a set and show what is in it."""
    from ase.data import chemical_symbols
    from rich.console import Console
    from rich.table import Table

    from ase_physml.data.schema import check
    from ase_physml.data.summary import summarise

    data = check(path)
    found = summarise(data)
    meta = data.metadata
    small, mean, large = found.atoms
    symbols = [f"{chemical_symbols[z]} {n:,}" for z, n in found.elements.items()]
    span, force = found.energy_per_atom, found.largest_force
    rows = {
        "frames": f"{found.frames:,}",
        "atoms": f"{small} to {large}, mean {mean:.1f}",
        "elements": ", ".join(symbols),
        "energies": f"{found.energies:,}",
        "energy per atom": f"{span[0]:.3f} to {span[1]:.3f} eV" if span else "none",
        "forces": f"{found.forces:,}",
        "largest force": f"{force:.3f} eV/Å" if force is not None else "none",
        "duplicates": f"{found.duplicates:,}",
        "level of theory": meta.level_of_theory or "not stated",
        "energy kind": meta.energy_kind,
        "equilibrium": {None: "not stated", True: "yes", False: "no"}[meta.equilibrium],
        "source": meta.source or "not stated",
        "size on disk": f"{path.stat().st_size / 1e6:.1f} MB",
    }
    table = Table(title=str(path), show_header=False, title_justify="left")
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)


@app.command()
def label(
    source: Annotated[Path, typer.Argument(help="Set, or any file that ASE reads.")],
    out: Annotated[Path, typer.Argument(help="HDF5 set to write.")],
    calculator: Annotated[
        str, typer.Option(help="tblite:GFN2-xTB, emt, qm9.pt, module:factory")
    ] = "tblite:GFN2-xTB",
    processes: Annotated[int, typer.Option(help="Worker processes.")] = 1,
    chunk: Annotated[int, typer.Option(help="Frames per unit of work.")] = 64,
) -> None:
    """Add energies and forces with an ASE calculator; run again to resume."""
    from ase_physml.calculators.byname import make_calculator
    from ase_physml.data.label import label as run
    from ase_physml.data.ragged import Metadata

    make_calculator(calculator)  # a wrong name should fail here, not in a worker
    frames, total = _frames(source)
    metadata = Metadata(
        level_of_theory=calculator.split(":")[-1], equilibrium=False, source=source.name
    )
    with _bar("labelling", total) as advance:
        report = run(
            frames,
            out,
            partial(make_calculator, calculator),
            metadata,
            key=calculator,
            processes=processes,
            chunk=chunk,
            on_frames=advance,
        )
    print(f"{out}: {report.labelled} frames labelled, {report.resumed} of them before")
    for index, reason in report.failures[:20]:
        print(f"  left out frame {index}: {reason}")
    if len(report.failures) > 20:
        print(f"  and {len(report.failures) - 20} more")


def _frames(source: Path) -> tuple[Iterator, int | None]:  # type: ignore[type-arg]
    import h5py

    from ase_physml.data.importers import open_source
    from ase_physml.data.ragged import RaggedSet

    if source.exists() and h5py.is_hdf5(source):
        data = RaggedSet(source)
        return iter(data), len(data)
    return open_source(source, "ase").frames, None


@contextmanager
def _bar(text: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar; silent when the output is not a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(text, total=total)
        yield lambda count: bar.advance(task, count)
