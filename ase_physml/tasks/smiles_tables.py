"""Tables with a column of SMILES: .csv with a header, or .smi."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ase_physml.data.frame import Array
from ase_physml.errors import DataError


@dataclass(frozen=True)
class SmilesTable:
    """Rows of text.

    Attributes:
        smiles: Of each row.
        names: Of the columns.
        rows: Cells of each row.
    """

    smiles: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def with_columns(self, names: Sequence[str], values: Array) -> SmilesTable:
        """The table with numbers (rows, names) on the right; NaN is an empty cell.

        A name that is there already is preceded by ``predicted_``.
        """
        new = [f"predicted_{n}" if n in self.names else n for n in names]
        cells = [[_cell(value) for value in row] for row in values]
        rows = [(*a, *b) for a, b in zip(self.rows, cells, strict=True)]
        return replace(self, names=(*self.names, *new), rows=tuple(rows))

    def write(self, out: str | Path) -> None:
        """Write a .csv, which appears under its name when it is complete."""
        out = Path(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(out.name + ".part")
        with partial.open("w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(self.names)
            lines.writerows(self.rows)
        partial.replace(out)


def read_smiles_table(path: str | Path, column: str | None = None) -> SmilesTable:
    """Read a table.

    Args:
        path: A .csv with a header; or a .smi: a SMILES in each line, and after a space
            its name.
        column: Of the SMILES in a .csv; by default the one called "smiles", in upper
            or lower case.

    Raises:
        DataError: Not such a file, no such column, or no molecules.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    readers = {".csv": _read_csv, ".smi": _read_smi}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: give a .csv with a header, or a .smi")
    try:
        found = readers[path.suffix.lower()](path, column)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a table of UTF-8 text ({error})") from error
    if not found.rows:
        raise DataError(f"{path}: no molecules in it")
    return found


def smiles_column(path: str | Path, column: str | None = None) -> str:
    """Name of the column of a .csv that holds SMILES.

    Arguments and errors as of `read_smiles_table`.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            names = next(csv.reader(file), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a table of UTF-8 text ({error})") from error
    return names[_smiles_place(path, names, column)]


def _read_csv(path: Path, column: str | None) -> SmilesTable:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *rows = [tuple(row) for row in csv.reader(file) if row] or [()]
    names = tuple(name.strip() for name in header)
    place = _smiles_place(path, names, column)
    # A row that is cut short is bad, and no reason to lose the others.
    width = len(names)
    rows = [(*row, *[""] * (width - len(row)))[:width] for row in rows]
    return SmilesTable(tuple(row[place] for row in rows), names, tuple(rows))


def _smiles_place(path: Path, names: Sequence[str], column: str | None) -> int:
    matches = [
        k
        for k, name in enumerate(names)
        if name == column or (column is None and name.lower() == "smiles")
    ]
    if len(matches) != 1:
        raise DataError(
            f"{path}: {len(matches)} columns called {column or 'smiles'!r}, among "
            f"{', '.join(names)}; name one with --smiles-column"
        )
    return matches[0]


def _read_smi(path: Path, column: str | None) -> SmilesTable:
    if column is not None:
        raise DataError(f"{path}: a .smi has no column {column!r}; leave it out")
    rows = read_smi(path)
    return SmilesTable(tuple(row[0] for row in rows), ("smiles", "name"), rows)


def read_smi(path: Path) -> tuple[tuple[str, str], ...]:
    """SMILES and name, "" if there is none, from each line that is not empty.

    Raises:
        DataError: Not a text file.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file of SMILES") from error
    parts = [line.split(maxsplit=1) for line in lines if line.strip()]
    return tuple((part[0], part[1].strip() if part[1:] else "") for part in parts)


def _cell(value: np.floating | float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"
