"""`physml predict`: properties of the molecules in a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_physml.cli.shared import count_bar, make_console
from ase_physml.errors import DataError

if TYPE_CHECKING:
    from ase_physml.tasks.properties import PropertyPredictions

# Failures that are printed; the others are only in the file.
_SHOWN = 10


def predict(
    model: Annotated[str, typer.Argument(help="Shipped name or path.")],
    table: Annotated[Path, typer.Argument(help="file.csv or file.smi.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV file to write.")],
    smiles_column: Annotated[
        str | None,
        typer.Option(help='Of a .csv; if not said, the one called "smiles".'),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT.")
    ] = False,
) -> None:
    """Predict properties of molecules; all columns of the table are kept.

    Exit code 1 if some could not be read: their cells stay empty, OUT.failures.csv
    lists them.
    """
    from ase_physml.data.label import list_failures
    from ase_physml.tasks.properties import predict_properties
    from ase_physml.tasks.smiles_tables import read_smiles_table

    if out.exists() and not overwrite:
        raise DataError(f"{out}: exists; choose another name, or add --overwrite")
    rows = read_smiles_table(table, smiles_column)
    with count_bar("predicting", len(rows.smiles)) as tell:
        found = predict_properties(rows.smiles, model, on_molecules=tell)
    rows.with_columns(found.names, found.values).write(out)
    list_failures(out, found.failures)
    _print_total(found, out)
    if found.failures:
        _print_failures(found, out)
        raise typer.Exit(1)


def _print_total(found: "PropertyPredictions", out: Path) -> None:
    done = len(found.smiles) - len(found.failures)
    unit = f" ({found.unit})" if found.unit else ""
    make_console().print(
        f"{out}: {', '.join(found.names)}{unit} of {done:,} molecules",
        markup=False,
        soft_wrap=True,
    )


def _print_failures(found: "PropertyPredictions", out: Path) -> None:
    from rich.console import Console

    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    for failure in found.failures[:_SHOWN]:
        text = f"row {failure.index + 1}: {failure.reason}"
        stderr.print(text, style="red", markup=False)
    stderr.print(
        f"{len(found.failures):,} failed, listed in {out}.failures.csv", markup=False
    )
