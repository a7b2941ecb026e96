"""Tables of properties as they are published: one row a molecule, given as SMILES."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ase_physml.data.files.smiles_file import SmilesFile, SmilesRow, read_smiles
from ase_physml.data.files.text_table import is_missing, read_text_table
from ase_physml.data.frame import Array
from ase_physml.errors import DataError
from ase_physml.jobs.failures import Failure

Task = Literal["regression", "classification", "multiclass"]
"""Kind of a target: a number, 0 or 1, or one of several classes from 0 on."""


@dataclass(frozen=True)
class TableFormat:
    """Meaning of the columns of a table.

    Attributes:
        name: Name of the set.
        smiles: Column of the SMILES.
        targets: Columns of the targets.
        task: Kind of the targets.
        unit: Unit of the targets.
        classes: Number of classes of a multiclass task.
    """

    name: str
    smiles: str
    targets: tuple[str, ...]
    task: Task = "regression"
    unit: str = ""
    classes: int = 2


@dataclass(frozen=True)
class PropertyTable:
    """Rows of a table as they stand.

    Attributes:
        format: Meaning of the columns.
        smiles: SMILES of each row, as written.
        targets: Values float64 (rows, targets), NaN where there is none.
        lines: Lines of the file in which rows begin, counted from 1; of rows that are
            of no file, their places.
        failures: Rows that cannot be read, by their lines.
        published: Flag that the set is one of `FORMATS`, whose rows are what others
            compare with.
    """

    format: TableFormat
    smiles: tuple[str, ...]
    targets: Array
    lines: tuple[int, ...] = ()
    failures: list[Failure] = field(default_factory=list)
    published: bool = False

    def __post_init__(self) -> None:
        if not self.lines:
            object.__setattr__(self, "lines", tuple(range(len(self.smiles))))


# With so many bad rows for each good one, the task or the column is wrong.
_MISTAKEN = 9

_TOX21 = (
    "NR-AR",
    "NR-AR-LBD",
    "NR-AhR",
    "NR-Aromatase",
    "NR-ER",
    "NR-ER-LBD",
    "NR-PPAR-gamma",
    "SR-ARE",
    "SR-ATAD5",
    "SR-HSE",
    "SR-MMP",
    "SR-p53",
)
_SARS_COV_2 = (
    "3CL_enzymatic_activity",
    "ACE2_enzymatic_activity",
    "HEK293_cell_line_toxicity_",
    "Human_fibroblast_toxicity",
    "MERS_Pseudotyped_particle_entry",
    "MERS_Pseudotyped_particle_entry_(Huh7_tox_counterscreen)",
    "SARS-CoV_Pseudotyped_particle_entry",
    "SARS-CoV_Pseudotyped_particle_entry_(VeroE6_tox_counterscreen)",
    "SARS-CoV-2_cytopathic_effect_(CPE)",
    "SARS-CoV-2_cytopathic_effect_(host_tox_counterscreen)",
    "Spike-ACE2_protein-protein_interaction_(AlphaLISA)",
    "Spike-ACE2_protein-protein_interaction_(TruHit_Counterscreen)",
    "TMPRSS2_enzymatic_activity",
)
_QM8 = tuple(
    f"{value}{state}-{method}"
    for method in ("CC2", "PBE0", "CAM")
    for value in ("E", "f")
    for state in (1, 2)
)
_ESOL = "measured log solubility in mols per litre"

FORMATS = {
    "esol": TableFormat("esol", "smiles", (_ESOL,), unit="log10(mol/L)"),
    "freesolv": TableFormat("freesolv", "smiles", ("expt",), unit="kcal/mol"),
    "lipophilicity": TableFormat("lipophilicity", "smiles", ("exp",), unit="logD"),
    "tox21": TableFormat("tox21", "smiles", _TOX21, "classification"),
    "sars_cov_2": TableFormat(
        "sars_cov_2", "SMILES", _SARS_COV_2, "multiclass", classes=4
    ),
    "qm8": TableFormat(
        "qm8", "smiles", _QM8, unit="Hartree (E), oscillator strength (f)"
    ),
}
"""Sets of the PhysChem and HamNet papers, columns as published."""


def read_table(
    path: str | Path,
    format_: str | TableFormat = "auto",
    smiles_column: str | None = None,
) -> PropertyTable:
    """Read a table.

    Args:
        path: File as of `ase_physml.data.files.smiles_file.read_smiles`. An empty cell,
            or one such as NA, is a missing value.
        format_: Name of one of `FORMATS`, a format of your own, or "auto" to recognise
            one of `FORMATS` by its columns.
        smiles_column: Column of the SMILES where a format of your own has "" for it;
            None for the one that `read_smiles` finds.

    Raises:
        DataError: No such file, columns that do not fit, or hardly a row with a
            value of the task.
    """
    path = Path(path)
    if isinstance(format_, str) and format_ not in {"auto", *FORMATS}:
        raise DataError(f"table {format_!r} is not one of auto, {', '.join(FORMATS)}")
    found = _chosen(path, format_, smiles_column)
    rows = read_smiles(path, found.smiles)
    places = [_place(rows, name) for name in found.targets]
    kept, targets, failures = [], [], []
    for row in rows.rows:
        values = [_number(row.cells[place]) for place in places]
        problem = row.problem or _problem(found, values, row, places)
        if problem:
            failures.append(Failure(row.line, row.name or row.smiles, problem))
        else:
            kept.append(row)
            targets.append(values)
    if len(failures) > _MISTAKEN * len(kept):
        raise DataError(
            f"{path}: {len(failures)} of {len(rows.rows)} rows cannot be read; the "
            f"first, line {failures[0].index}: {failures[0].reason}"
        )
    return PropertyTable(
        found,
        tuple(row.smiles for row in kept),
        np.array(targets, dtype=np.float64),
        tuple(row.line for row in kept),
        failures,
        published=found in FORMATS.values(),
    )


def _chosen(
    path: Path, format_: str | TableFormat, smiles_column: str | None
) -> TableFormat:
    if isinstance(format_, TableFormat):
        if format_.smiles:
            return format_
        table = read_text_table(path, smiles_column)
        column = table.names[table.smiles_place(smiles_column)]
        return replace(format_, smiles=column)
    if format_ != "auto":
        return FORMATS[format_]
    names = read_text_table(path).names
    fitting = [f for f in FORMATS.values() if {f.smiles, *f.targets} <= {*names}]
    if len(fitting) != 1:
        raise DataError(
            f"{path}: columns of no set known here ({', '.join(names[:5])}...); say "
            f"which columns to read (--target), or give one of {', '.join(FORMATS)}"
        )
    return fitting[0]


def _place(rows: SmilesFile, column: str) -> int:
    count = rows.names.count(column)
    if count != 1:
        raise DataError(
            f"{rows.path}: {count or 'no'} column{'s' if count else ''} {column!r}; "
            f"there are {', '.join(rows.names[:20])}"
        )
    return rows.names.index(column)


def _number(cell: str) -> float:
    """Value of a cell: NaN for a missing one, infinity for what is no number."""
    if is_missing(cell):
        return math.nan
    try:
        return float(cell)
    except ValueError:
        return math.inf


def _problem(
    format_: TableFormat, values: Sequence[float], row: SmilesRow, places: Sequence[int]
) -> str:
    """Complaint about a cell that holds no value of the task, "" if none does."""
    if not row.smiles:
        return "no SMILES in it"
    classes = 2 if format_.task == "classification" else format_.classes
    for name, value, place in zip(format_.targets, values, places, strict=True):
        known = format_.task == "regression" or value in range(classes)
        if math.isinf(value) or not (math.isnan(value) or known):
            return (
                f"column {name!r} holds {row.cells[place][:40]!r}, no value of a "
                f"{format_.task} task; correct the cell or leave it empty"
            )
    return ""
