"""Tables of text with a line of column names, whatever separates the columns.

Rows that cannot be read are kept with the reason, so that nobody takes the rows after
them for others.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ase_physml.data.files.kinds import refuse_structures
from ase_physml.data.files.text import read_lines
from ase_physml.errors import DataError

_SEPARATORS = (",", "\t", ";")
_STATED = re.compile(r"sep=(.)$", re.IGNORECASE)
# A cell in quotes may go on in so many lines.
_LINES = 20
_LETTERS = re.compile(r"[^a-z0-9]")
_NAMES = (
    "name",
    "moleculename",
    "compoundname",
    "molname",
    "title",
    "molecule",
    "compound",
    "id",
    "moleculeid",
    "compoundid",
    "molid",
    "cmpdchemblid",
    "chemblid",
    "moleculechemblid",
    "identifier",
    "zincid",
    "cid",
    "iupac",
    "iupacname",
)
_MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "?"}


@dataclass(frozen=True)
class Row:
    """Row of a table.

    Attributes:
        line: Line of the file where it begins, counted from 1.
        cells: Cells, as many as there are columns.
        problem: Reason why it cannot be used, "" if nothing is wrong.
    """

    line: int
    cells: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True)
class TextTable:
    """Table as it stands in a file.

    Attributes:
        path: Path of the file.
        names: Names of the columns.
        rows: Rows that are not empty.
    """

    path: Path
    names: tuple[str, ...]
    rows: tuple[Row, ...]

    def smiles_place(self, column: str | None = None) -> int:
        """Index of the column of SMILES: the one named, else "smiles", else "*_smiles".

        Raises:
            DataError: There is none, or several.
        """
        found = _places(self.names, column)
        if len(found) != 1:
            listed = ", ".join(self.names[:20])
            raise DataError(
                f"{self.path}: {len(found)} columns called {column or 'smiles'!r} "
                f"under the names of the first line ({listed}); name one with "
                "--smiles-column"
            )
        return found[0]

    def name_place(self) -> int | None:
        """Index of the column that names molecules, None if none does."""
        plain = [_letters(name) for name in self.names]
        return next((plain.index(name) for name in _NAMES if name in plain), None)

    def place(self, column: str) -> int:
        """Index of the column of a name.

        Raises:
            DataError: There is none, or several.
        """
        count = self.names.count(column)
        if count != 1:
            raise DataError(
                f"{self.path}: {count or 'no'} column{'s' if count > 1 else ''} "
                f"{column!r}; there are {', '.join(self.names[:20])}"
            )
        return self.names.index(column)


def read_text_table(path: Path, column: str | None = None) -> TextTable:
    """Read a table separated by commas, semicolons or tabs.

    Args:
        path: File with a line of column names.
        column: Name of the column of SMILES, if it tells which separator is meant.

    Raises:
        DataError: No such file, no text, or a file of structures.
    """
    if path.is_file():
        refuse_structures(path)
    lines = read_lines(path)
    first = next((k for k, line in enumerate(lines) if line.strip()), len(lines))
    if first == len(lines):
        raise DataError(f"{path}: no rows under a line of column names")
    stated = _STATED.match(lines[first].strip())
    if stated:
        first += 1
    separator = stated[1] if stated else _separator(path, lines[first], column)
    header = _cells(lines[first], separator) or []
    names = tuple(name.strip() for name in header)
    return TextTable(path, names, tuple(_rows(lines, first + 1, separator, len(names))))


def is_missing(cell: str) -> bool:
    """True if a cell says that there is no value."""
    return cell.strip().casefold() in _MISSING


def has_names(line: str, column: str | None = None) -> bool:
    """True if a line names columns, among them one of SMILES."""
    return any(
        _places([name.strip() for name in _cells(line, separator) or []], column)
        for separator in _SEPARATORS
    )


def _letters(name: str) -> str:
    return _LETTERS.sub("", name.casefold())


def _places(names: Sequence[str], column: str | None) -> list[int]:
    if column is not None:
        return [k for k, name in enumerate(names) if name == column.strip()]
    plain = [_letters(name) for name in names]
    exact = [k for k, name in enumerate(plain) if name == "smiles"]
    return exact or [k for k, name in enumerate(plain) if name.endswith("smiles")]


def _separator(path: Path, line: str, column: str | None) -> str:
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"

    def fit(separator: str) -> tuple[bool, int]:
        names = [name.strip() for name in _cells(line, separator) or []]
        return bool(_places(names, column)), len(names)

    return max(_SEPARATORS, key=fit)


def _rows(lines: list[str], start: int, separator: str, width: int) -> Iterator[Row]:
    number = start
    while number < len(lines):
        cells, used = _record(lines, number, separator, width)
        if any(cell.strip() for cell in cells) or used > 1:
            yield _row(number + 1, cells, width)
        number += used


def _record(
    lines: list[str], start: int, separator: str, width: int
) -> tuple[list[str], int]:
    """Cells of a row, and how many lines they take."""
    for used in range(1, min(_LINES, len(lines) - start) + 1):
        cells = _cells("\n".join(lines[start : start + used]), separator)
        if cells is not None and (used == 1 or len(cells) == width):
            return cells, used
        if cells is not None:
            break
    # A quote that is never closed must not swallow the rows after it.
    return lines[start].split(separator), 1


def _cells(text: str, separator: str) -> list[str] | None:
    """Cells of a line; None if a quote is open at its end."""
    try:
        found = csv.reader(
            io.StringIO(text),
            delimiter=separator,
            skipinitialspace=separator != "\t",
            strict=True,
        )
        return next(iter(found), [])
    except csv.Error as error:
        if "unexpected end" in str(error):
            return None
        return text.split(separator)


def _row(line: int, cells: list[str], width: int) -> Row:
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    # Spreadsheets leave out empty cells at the end.
    whole = (*cells, *[""] * (width - len(cells)))[:width]
    if len(cells) <= width:
        return Row(line, whole)
    return Row(
        line, whole, f"{len(cells)} cells under {width} column names; repair the row"
    )
