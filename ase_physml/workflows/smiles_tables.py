"""Tables with a SMILES in each row, and what is predicted of it on the right."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ase_physml.data.files.smiles_file import read_smiles
from ase_physml.data.frame import Array
from ase_physml.jobs.disk import atomic_write


@dataclass(frozen=True)
class SmilesTable:
    """Rows of text.

    Attributes:
        smiles: Of each row; "" where `problems` says why it has none.
        names: Of the columns.
        rows: Cells of each row.
        lines: Of the file in which rows begin, counted from 1.
        problems: Of rows that cannot be used, by their place.
    """

    smiles: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    problems: dict[int, str]

    def with_columns(self, names: Sequence[str], values: Array) -> SmilesTable:
        """The table with numbers (rows, names) on the right; NaN is an empty cell.

        A name that is there already is followed by a number.
        """
        taken = list(self.names)
        for name in names:
            taken.append(_unique(name, taken))
        cells = [[_cell(value) for value in row] for row in values]
        rows = [(*a, *b) for a, b in zip(self.rows, cells, strict=True)]
        return replace(self, names=tuple(taken), rows=tuple(rows))

    def write(self, out: str | Path) -> None:
        """Write a .csv, which appears under its name when it is complete."""
        out = Path(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        with (
            atomic_write(out) as partial,
            partial.open(
                "w", newline="", encoding="utf-8", errors="backslashreplace"
            ) as file,
        ):
            lines = csv.writer(file)
            lines.writerow(self.names)
            lines.writerows(self.rows)


def read_smiles_table(path: str | Path, column: str | None = None) -> SmilesTable:
    """Read a table, or a file of lines.

    Args:
        path: See `ase_physml.data.files.smiles_file.read_smiles`, as for ``column``.
        column: Of the SMILES in a table.

    Raises:
        DataError: As of `read_smiles`.
    """
    found = read_smiles(Path(path), column)
    return SmilesTable(
        tuple("" if row.problem else row.smiles for row in found.rows),
        found.names,
        tuple(row.cells for row in found.rows),
        tuple(row.line for row in found.rows),
        {k: row.problem for k, row in enumerate(found.rows) if row.problem},
    )


def _unique(name: str, taken: Sequence[str]) -> str:
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique


def _cell(value: np.floating | float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"
