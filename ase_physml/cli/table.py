"""`physml data table`: a table of measured properties as a set to train on."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_physml.cli.outputs import Overwrite, Resume, check_file, kept_beside, stoppable
from ase_physml.cli.progress import counting
from ase_physml.cli.shared import (
    make_console,
    name_some,
)

if TYPE_CHECKING:
    from ase_physml.data.tables import PropertyTable


class Task(StrEnum):
    """What the targets are."""

    regression = "regression"
    classification = "classification"
    multiclass = "multiclass"


class Draw(StrEnum):
    """How molecules are split."""

    random = "random"
    scaffold = "scaffold"


def table(
    source: Annotated[Path, typer.Argument(help="CSV file with SMILES.")],
    out: Annotated[Path, typer.Argument(help="HDF5 set to write.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Column to learn; may be repeated. Published sets are recognised."
        ),
    ] = None,
    smiles_column: Annotated[
        str | None, typer.Option(help='If not said, the one called "smiles".')
    ] = None,
    task: Annotated[Task, typer.Option(help="What the targets are.")] = Task.regression,
    classes: Annotated[int, typer.Option(min=2, help="Of a multiclass task.")] = 2,
    unit: Annotated[str, typer.Option(help="Of the targets, for people.")] = "",
    conformers: Annotated[
        bool,
        typer.Option(help="Add a conformer of each (ETKDGv3, MMFF94) to learn from."),
    ] = True,
    split: Annotated[
        Draw, typer.Option(help="Training, validation and test, 8:1:1.")
    ] = Draw.random,
    seed: Annotated[int, typer.Option(min=0, help="Of the split.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Make a set of molecules and their properties, and a split: OUT with .json.

    Rows that cannot be read are left out, and listed in OUT.failures.csv. Equal
    molecules are on one side of the split. A run that was killed goes on when repeated.
    """
    from ase_physml.molecules.properties import import_table
    from ase_physml.molecules.splits import random_split, scaffold_split

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
    make_console().print(
        f"{out}: {len(store):,} molecules, {len(failures):,} rows left out; "
        f"{name_some(found.target_names)}\n"
        f"{out.with_suffix('.json')}: {len(drawn.train):,} for training, "
        f"{len(drawn.val):,} for validation, {len(drawn.test):,} for the test",
        markup=False,
        soft_wrap=True,
    )


def _read(
    source: Path,
    target: list[str] | None,
    smiles: str | None,
    task: Task,
    classes: int,
    unit: str,
) -> "PropertyTable":
    from ase_physml.data.tables import TableFormat, read_table
    from ase_physml.tasks.smiles_tables import smiles_column

    if not target:
        return read_table(source)
    form = TableFormat(
        source.stem,
        smiles_column(source, smiles),
        tuple(target),
        task.value,
        unit,
        classes,
    )
    return read_table(source, form)
