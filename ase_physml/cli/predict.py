"""`physml predict`: properties of the molecules in a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_physml.cli.options import (
    Jobs,
    MaxAtoms,
    Molecules,
    Overwrite,
    Resume,
    SmilesColumn,
)
from ase_physml.cli.outputs import check_file, kept_beside, stoppable
from ase_physml.cli.progress import counting
from ase_physml.cli.shared import make_console, name_some, print_lines

if TYPE_CHECKING:
    from rich.console import Console

    from ase_physml.data.files.smiles_file import SmilesFile
    from ase_physml.workflows.prediction_tables import TableReport

# A file that is missing is no SMILES.
_ENDINGS = (".csv", ".tsv", ".smi", ".txt")


def predict(
    model: Annotated[str, typer.Argument(help="Shipped name or path.")],
    inputs: Molecules,
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV file to write.")] = Path(
        "predicted.csv"
    ),
    smiles_column: SmilesColumn = None,
    fingerprints: Annotated[
        bool, typer.Option("--fingerprints", help="Fingerprints instead.")
    ] = False,
    max_atoms: MaxAtoms = None,
    jobs: Jobs = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Predict properties of molecules; of one table all columns are kept.

    Those on the right are predicted: predicted_NAME, and of a committee
    predicted_NAME_std, how far its members part.

    Exit code 1 if some could not be read: their cells stay empty, OUT.failures.csv
    lists them by their lines. OUT.unseen.csv lists molecules with elements that the
    model never saw.
    """
    from ase_physml.chem.embed import MAX_ATOMS
    from ase_physml.workflows.prediction_tables import predict_table

    check_file(out, overwrite=overwrite, resume=resume)
    rows = _read(inputs, smiles_column)
    with (
        stoppable(kept_beside(out)),
        counting("predicting", len(rows.smiles)) as tell,
    ):
        report = predict_table(
            rows,
            out,
            model,
            fingerprints=fingerprints,
            max_atoms=max_atoms or MAX_ATOMS,
            processes=jobs,
            resume=True,
            afresh=overwrite,
            on_molecules=tell,
        )
    _print_total(report, out)
    if not fingerprints:
        _print_measured(model)
    if report.unseen:
        _print_unseen(report, out)
    if report.failures:
        print_lines(report.failures, out)
        raise typer.Exit(1)


def _read(inputs: list[str], column: str | None) -> "SmilesFile":
    """One file as it is; of several, and of SMILES, each with its name."""
    from ase_physml.data.files.smiles_file import SmilesFile, SmilesRow, read_smiles
    from ase_physml.workflows.conformers.runs import read_molecules

    path = Path(inputs[0])
    if len(inputs) == 1 and (path.is_file() or path.suffix in _ENDINGS):
        return read_smiles(path, column)
    rows = tuple(
        SmilesRow(one.smiles, one.name, line, (one.smiles, one.name), one.problem)
        for line, one in enumerate(read_molecules(inputs, column), 2)
    )
    return SmilesFile(path, ("smiles", "name"), rows)


def _print_total(report: "TableReport", out: Path) -> None:
    names = name_some(report.names)
    unit = f" ({report.unit})" if report.unit else ""
    make_console().print(
        f"{out}: {names}{unit} of {report.done:,} molecules",
        markup=False,
        soft_wrap=True,
    )


def _print_measured(model: str) -> None:
    from ase_physml.store.registry import measured, resolve

    if said := measured(resolve(model)):
        make_console().print(said, markup=False, soft_wrap=True)


def _print_unseen(report: "TableReport", out: Path) -> None:
    _stderr().print(
        f"{len(report.unseen):,} have elements that the model never saw, their values "
        f"are guesses; listed in {out}.unseen.csv",
        style="yellow",
        markup=False,
    )


def _stderr() -> "Console":
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, highlight=False)
