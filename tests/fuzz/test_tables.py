"""Tables of SMILES and of properties, whole and damaged."""

import csv
import io
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ase_physml.data.files.smiles_file import SmilesFile, read_smiles
from ase_physml.data.property_tables import PropertyTable, TableFormat, read_table
from ase_physml.workflows.prediction_tables import write_table

Check = Callable[[Callable[[], Any]], Any]
Mutate = Callable[[bytes, np.random.Generator], bytes]

pytestmark = pytest.mark.slow

SMILES = ["CCO", "C/C=C\\C", "c1ccccc1", "[Na+].[Cl-]", "C[C@H](N)C(=O)O", "C |^1:0|"]
NAMES = ["plain", "with, comma", 'with "quotes"', "two\nlines", "Éthanol", "", "a;b"]


def table(random: np.random.Generator) -> tuple[bytes, list[list[str]]]:
    """A table as somebody may have written it, and its rows."""
    separator = [",", ";", "\t"][random.integers(3)]
    header = ["name", ["smiles", "SMILES", "Canonical_SMILES"][random.integers(3)], "y"]
    rows = []
    for _ in range(random.integers(1, 8)):
        name, smiles = (str(random.choice(some)) for some in (NAMES, SMILES))
        value = ["1.5", "NA", "", "-2e-3", "nan", "7"][random.integers(6)]
        rows.append([name, smiles, value])
    out = io.StringIO()
    lines = csv.writer(
        out,
        delimiter=separator,
        lineterminator=["\n", "\r\n"][random.integers(2)],
        quoting=[csv.QUOTE_MINIMAL, csv.QUOTE_ALL][random.integers(2)],
    )
    lines.writerows([header, *rows])
    coding = ["utf-8", "utf-8-sig", "latin-1", "utf-16"][random.integers(4)]
    return out.getvalue().encode(coding), rows


@pytest.mark.parametrize("seed", range(80))
def test_tables(tmp_path: Path, check: Check, mutate: Mutate, seed: int) -> None:
    random = np.random.default_rng(seed)
    whole, rows = table(random)
    path = tmp_path / "a.csv"
    path.write_bytes(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read_smiles(path)
        assert [(row.name, row.smiles) for row in found.rows] == [
            (name.strip(), smiles) for name, smiles, _ in rows
        ]
        known = read_table(path, TableFormat("y", "", ("y",)))
        for (_, _, cell), value in zip(rows, known.targets[:, 0], strict=True):
            if cell in ("NA", "", "nan"):
                assert math.isnan(value)
            else:
                assert float(cell) == value
        (tmp_path / "a.csv").write_bytes(mutate(whole, random))
        damaged = check(lambda: read_smiles(path))
        read = check(lambda: read_table(path, TableFormat("y", "", ("y",))))
    if isinstance(damaged, SmilesFile):
        lines = [row.line for row in damaged.rows]
        assert lines == sorted(set(lines))
        assert all(len(row.cells) == len(damaged.names) for row in damaged.rows)
    if isinstance(read, PropertyTable):
        assert len(read.smiles) == len(read.targets) == len(read.lines)
        assert isinstance(damaged, SmilesFile)
        assert len(read.smiles) + len(read.failures) == len(damaged.rows)


@pytest.mark.parametrize("seed", range(30))
def test_what_is_written_is_read_again(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(1000 + seed)
    whole, rows = table(random)
    path, out = tmp_path / "a.csv", tmp_path / "out.csv"
    path.write_bytes(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = read_smiles(path)
    values = random.normal(size=(len(rows), 1))
    write_table(out, first, ["y"], values)
    again = read_smiles(out)
    assert again.smiles == first.smiles
    assert again.names == (*first.names, "y_2")
    assert [row.cells[:3] for row in again.rows] == [row.cells for row in first.rows]
    np.testing.assert_allclose(
        [float(row.cells[3]) for row in again.rows], values[:, 0], rtol=1e-5
    )
