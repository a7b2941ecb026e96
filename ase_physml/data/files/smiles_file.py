"""Files of SMILES: lines of them, or the column of a table. All verbs read here."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ase_physml.data.files.kinds import kind_of, refuse_structures
from ase_physml.data.files.text import read_lines
from ase_physml.data.files.text_table import Row, has_names, read_text_table
from ase_physml.errors import DataError

_LINES = (".smi", ".smiles", ".ism", ".can", ".cxsmiles")
_TABLES = (".csv", ".tsv", ".tab")
# SMILES, what ChemAxon puts after it, and the rest.
_LINE = re.compile(r"\s*([^\s,;]+)[,;]?(?:\s+(\|[^|]*\|))?[\s,;]*(.*?)\s*$")
_MIXTURE = re.compile(r" \|(?:[^|]*,)?[&o]\d+:")
_CELL = re.compile(r"\s*(\S*)(?:\s+(\|[^|]*\|))?")


@dataclass(frozen=True)
class SmilesRow:
    """Molecule of a file.

    Attributes:
        smiles: SMILES as written, with what ChemAxon's extension says in bars.
        name: Name, "" if it has none.
        line: Line in the file, counted from 1.
        cells: Cells of the row of a table, or SMILES and name of a line.
        problem: Reason why the row cannot be used, "" if nothing is wrong with it.
    """

    smiles: str
    name: str
    line: int
    cells: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True)
class SmilesFile:
    """Molecules of a file.

    Attributes:
        path: Path of the file.
        names: Names of the columns.
        rows: Molecules, one for each line that is not empty.
    """

    path: Path
    names: tuple[str, ...]
    rows: tuple[SmilesRow, ...]

    @property
    def smiles(self) -> tuple[str, ...]:
        """SMILES of each row, "" for rows that cannot be used."""
        return tuple("" if row.problem else row.smiles for row in self.rows)


def read_smiles(path: Path, column: str | None = None) -> SmilesFile:
    """Read a file of SMILES.

    Args:
        path: Table with a line of column names (.csv, .tsv, or any other whose first
            line names a column of SMILES); else a SMILES in each line, and after a
            space its name. Lines that begin with ``#`` are comments.
        column: Name of the column of SMILES in a table; by default the one called
            "smiles", or whose name ends in it.

    Raises:
        DataError: No such file, no text, a file of structures, no such column, or no
            molecules.
    """
    refuse_folder(path)
    if is_table(path, column):
        table = read_text_table(path, column)
        place, named = table.smiles_place(column), table.name_place()
        rows = tuple(_of_row(row, place, named) for row in table.rows)
        names = table.names
    elif column is not None:
        raise DataError(
            f"{path}: lines of SMILES, without a column {column!r}; leave "
            "--smiles-column out"
        )
    else:
        refuse_structures(path)
        rows, names = tuple(_of_lines(path)), ("smiles", "name")
    if not rows:
        raise DataError(f"{path}: no molecules in it")
    _tell_of_mixtures(path, rows)
    return SmilesFile(path, names, rows)


def is_smiles_file(path: Path) -> bool:
    """True if a file holds SMILES by its ending; others are read as structures.

    Of a .txt the content decides.
    """
    ending = path.suffix.lower()
    if ending == ".txt":
        return kind_of(path) is None
    return ending in (*_LINES, *_TABLES)


def is_table(path: Path, column: str | None = None) -> bool:
    """True if a file is a table with a line of names, not lines of SMILES."""
    if path.suffix.lower() in _TABLES:
        return True
    refuse_structures(path)
    lines = read_lines(path)
    first = next((line for line in lines if line.strip()), "")
    # A lone "smiles", or "smiles name", heads lines.
    return has_names(first, column) and bool(re.search(r"[,;\t]", first))


def refuse_folder(path: Path) -> None:
    """Refuse a path that is no file.

    Raises:
        DataError: Naming it.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {what}; give a file of SMILES")


def _tell_of_mixtures(path: Path, rows: tuple[SmilesRow, ...]) -> None:
    lines = [str(row.line) for row in rows if _MIXTURE.search(row.smiles)]
    if lines:
        more = f" and {len(lines) - 5} more" if len(lines) > 5 else ""
        warnings.warn(
            f"{path}: mixtures of stereoisomers (& or o in bars, line "
            f"{', '.join(lines[:5])}{more}) are read as the one isomer that is drawn",
            stacklevel=3,
        )


def _of_row(row: Row, place: int, named: int | None) -> SmilesRow:
    found = _CELL.match(row.cells[place])
    smiles = " ".join(part for part in found.groups() if part) if found else ""
    name = row.cells[named].strip() if named is not None and named != place else ""
    return SmilesRow(smiles, name, row.line, row.cells, row.problem)


def _of_lines(path: Path) -> Iterator[SmilesRow]:
    first = True
    for number, line in enumerate(read_lines(path), 1):
        found = _LINE.match(line)
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if found is None:
            yield SmilesRow("", line.strip(), number, ("", line.strip()), "no SMILES")
            continue
        smiles, tail, name = found.groups()
        heads = first and has_names(smiles)
        first = False
        if not heads:
            whole = f"{smiles} {tail}" if tail else smiles
            yield SmilesRow(whole, name, number, (whole, name))
