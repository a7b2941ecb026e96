"""Tables of properties as they are published: one row a molecule, given as SMILES."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ase_physml.data.frame import Array
from ase_physml.errors import DataError

Task = Literal["regression", "classification", "multiclass"]
"""What a target is: a number, 0 or 1, or one of several classes from 0 on."""


@dataclass(frozen=True)
class TableFormat:
    """Which columns of a table mean what.

    Attributes:
        name: Of the set.
        smiles: Column of the SMILES.
        targets: Columns of the targets.
        task: What the targets are.
        unit: Of the targets.
        classes: Of a multiclass task.
    """

    name: str
    smiles: str
    targets: tuple[str, ...]
    task: Task = "regression"
    unit: str = ""
    classes: int = 2


@dataclass(frozen=True)
class PropertyTable:
    """Rows as they stand.

    Attributes:
        format: What the columns mean.
        smiles: As written, one for each row.
        targets: float64 (rows, targets), NaN where there is no value.
    """

    format: TableFormat
    smiles: tuple[str, ...]
    targets: Array


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
_ESOL = "measured log solubility in mols per litre"

FORMATS = {
    "esol": TableFormat("esol", "smiles", (_ESOL,), unit="log10(mol/L)"),
    "freesolv": TableFormat("freesolv", "smiles", ("expt",), unit="kcal/mol"),
    "lipophilicity": TableFormat("lipophilicity", "smiles", ("exp",), unit="logD"),
    "tox21": TableFormat("tox21", "smiles", _TOX21, "classification"),
    "sars_cov_2": TableFormat(
        "sars_cov_2", "SMILES", _SARS_COV_2, "multiclass", classes=4
    ),
}
"""The sets of the PhysChem and HamNet papers, columns as published."""


def read_table(path: str | Path, format_: str | TableFormat = "auto") -> PropertyTable:
    """Read a CSV file.

    Args:
        path: With a line of column names; an empty cell is a missing value.
        format_: One of `FORMATS` by name, one of your own, or "auto" to recognise one
            of `FORMATS` by its columns.

    Raises:
        DataError: No such file, columns that do not fit, or a cell that is no number.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error})") from error
    if len(rows) < 2:
        raise DataError(f"{path}: no rows under a line of column names")
    header, body = rows[0], [row for row in rows[1:] if row]
    found = _chosen(path, header, format_)
    for k, row in enumerate(body):
        if len(row) != len(header):
            raise DataError(
                f"{path}: row {k} has {len(row)} cells under {len(header)} column "
                "names; repair the file"
            )
    smiles = tuple(row[header.index(found.smiles)].strip() for row in body)
    places = [header.index(name) for name in found.targets]
    targets = [[_number(row[place]) for place in places] for row in body]
    _check(path, found, np.array(targets))
    return PropertyTable(found, smiles, np.array(targets))


def _chosen(
    path: Path, header: Sequence[str], format_: str | TableFormat
) -> TableFormat:
    if isinstance(format_, str) and format_ not in {"auto", *FORMATS}:
        raise DataError(f"table {format_!r} is not one of auto, {', '.join(FORMATS)}")
    if format_ == "auto":
        fitting = [f for f in FORMATS.values() if not _lacking(f, header)]
        if len(fitting) != 1:
            raise DataError(
                f"{path}: columns of no set known here ({', '.join(header[:5])}...); "
                "say which columns to read (--target), or give one of "
                f"{', '.join(FORMATS)}"
            )
        return fitting[0]
    chosen = FORMATS[format_] if isinstance(format_, str) else format_
    lacking = _lacking(chosen, header)
    if lacking:
        raise DataError(
            f"{path}: no column {lacking[0]!r}; there are {', '.join(header[:20])}"
        )
    return chosen


def _lacking(format_: TableFormat, header: Sequence[str]) -> list[str]:
    return [n for n in (format_.smiles, *format_.targets) if n not in header]


def _number(cell: str) -> float:
    """NaN for an empty cell, infinity for what is no number."""
    if not cell.strip():
        return math.nan
    try:
        return float(cell)
    except ValueError:
        return math.inf


def _check(path: Path, format_: TableFormat, targets: Array) -> None:
    wrong = np.isinf(targets)
    if format_.task != "regression":
        classes = 2 if format_.task == "classification" else format_.classes
        known = np.isin(targets, np.arange(classes))
        wrong |= ~known & ~np.isnan(targets)
    for row, column in np.argwhere(wrong)[:1]:
        raise DataError(
            f"{path}: row {row}, column {format_.targets[column]!r} holds no value of "
            f"a {format_.task} task; correct the cell or leave it empty"
        )
