"""`physml data table`: a table of measured properties as a set to train on."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_physml.cli.options import Jobs, Overwrite, Resume, Seed, SmilesColumn
from ase_physml.cli.outputs import check_file, kept_beside, stoppable
from ase_physml.cli.progress import counting
from ase_physml.cli.shared import make_console, name_some, print_lines

if TYPE_CHECKING:
    from ase_physml.data.property_tables import PropertyTable


class Task(StrEnum):
    """Kind of the targets."""

    regression = "regression"
    classification = "classification"
    multiclass = "multiclass"


class SplitKind(StrEnum):
    """Way in which molecules are split."""

    random = "random"
    scaffold = "scaffold"


def table(
    source: Annotated[Path, typer.Argument(help="Table with SMILES: .csv, .tsv.")],
    out: Annotated[Path, typer.Argument(help="HDF5 set to write.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Column to learn; may be repeated. Published sets are recognised."
        ),
    ] = None,
    smiles_column: SmilesColumn = None,
    task: Annotated[Task, typer.Option(help="What the targets are.")] = Task.regression,
    classes: Annotated[int, typer.Option(min=2, help="Of a multiclass task.")] = 2,
    unit: Annotated[str, typer.Option(help="Of the targets, for people.")] = "",
    conformers: Annotated[
        bool,
        typer.Option(help="Add a conformer of each (ETKDGv3, MMFF94) to learn from."),
    ] = True,
    split: Annotated[
        SplitKind, typer.Option(help="Training, validation and test, 8:1:1.")
    ] = SplitKind.random,
    seed: Seed = 0,
    jobs: Jobs = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Make a set of molecules and their properties, and a split: OUT with .json.

    Rows that cannot be read, and those of one molecule that contradict each other, are
    left out, and listed in OUT.failures.csv by their lines. Equal molecules are on one
    side of the split. A run that was killed goes on when repeated.
    """
    import numpy as np

    from ase_physml.chem.molecule_sets import random_split, scaffold_split
    from ase_physml.chem.property_sets import import_table

    check_file(out, overwrite=overwrite, resume=resume)
    read = _read(source, target, smiles_column, task, classes, unit)
    with (
        stoppable(kept_beside(out)),
        counting("molecules", len(read.smiles)) as advance,
    ):
        found, failures = import_table(
            read,
            out,
            conformers=conformers,
            processes=jobs,
            afresh=overwrite,
            on_items=advance,
        )
    store = found.store
    drawn = scaffold_split(store) if split == "scaffold" else random_split(store, seed)
    drawn.save(out.with_suffix(".json"))
    empty = int(np.isnan(found.targets).all(axis=1).sum())
    without = f" ({empty:,} without any value)" if empty else ""
    make_console().print(
        f"{out}: {len(store):,} molecules{without}, {len(failures):,} rows left out; "
        f"{name_some(found.target_names)}\n"
        f"{out.with_suffix('.json')}: {len(drawn.train):,} for training, "
        f"{len(drawn.val):,} for validation, {len(drawn.test):,} for the test",
        markup=False,
        soft_wrap=True,
    )
    print_lines(failures, out)


def _read(
    source: Path,
    target: list[str] | None,
    smiles: str | None,
    task: Task,
    classes: int,
    unit: str,
) -> "PropertyTable":
    from ase_physml.data.property_tables import TableFormat, read_table

    if not target:
        return read_table(source)
    form = TableFormat(source.stem, "", tuple(target), task.value, unit, classes)
    return read_table(source, form, smiles)
