"""`physml data table`: from a table to a set that a recipe trains on."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ase_physml.chem.property_sets import PropertySet
from ase_physml.cli import app
from ase_physml.data.index_split import Split
from ase_physml.errors import DataError

ROWS = [
    "id,SMILES,boiling,toxic",
    "a,CCO,78.4,0",
    "b,C(,1.0,1",
    "c,c1ccccc1,80.1,1",
    "d,OCC,78.3,0",
    "e,CC(C)=O,56.1,",
    *(f"x{n},{'C' * n},{30 * n},0" for n in range(3, 12)),
]


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(ROWS) + "\n")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["data", "table", *map(str, arguments)])


def test_columns_become_targets(csv_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.h5"
    found = run(
        csv_file, out, "--target", "boiling", "--unit", "C", "--split", "random"
    )
    assert found.exit_code == 0, found.output
    assert "13 molecules, 1 rows left out; boiling" in found.output
    known = PropertySet.load(out)
    assert (known.target_names, known.unit, known.task) == (
        ("boiling",),
        "C",
        "regression",
    )
    assert known.store.has_positions.all()
    assert "C(" in (tmp_path / "mine.h5.failures.csv").read_text()
    split = Split.load(tmp_path / "mine.json")
    assert split.size == 13 and len(split.val) and len(split.test)
    # Ethanol is in twice, and on one side.
    ethanol = {i for i, smiles in enumerate(known.smiles) if smiles == "CCO"}
    parts = (split.train, split.val, split.test)
    assert len(ethanol) == 2 and any(ethanol <= set(part.tolist()) for part in parts)


def test_classes_without_conformers(csv_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.h5"
    arguments = ("--target", "toxic", "--task", "classification", "--no-conformers")
    assert run(csv_file, out, *arguments, "--split", "scaffold").exit_code == 0
    known = PropertySet.load(out)
    assert known.task == "classification" and not known.store.has_positions.any()
    again = run(csv_file, out, *arguments)
    assert isinstance(again.exception, DataError) and "exists" in str(again.exception)
    assert run(csv_file, out, *arguments, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say which columns to read"),
        (("--target", "melting"), "no column 'melting'"),
        (
            ("--target", "boiling", "--task", "classification"),
            "no value of a classification",
        ),
        (("--target", "boiling", "--smiles-column", "x"), "0 columns called 'x'"),
    ],
)
def test_mistakes(
    csv_file: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    found = run(csv_file, tmp_path / "mine.h5", *arguments)
    assert isinstance(found.exception, DataError) and message in str(found.exception)
    missing = run(tmp_path / "no.csv", tmp_path / "mine.h5", "--target", "boiling")
    assert "no such file" in str(missing.exception)


def test_bad_rows_are_listed_by_line_and_the_rest_kept(tmp_path: Path) -> None:
    table, out = tmp_path / "in.csv", tmp_path / "out.h5"
    rows = ["Canonical_SMILES; logP", "CCO;1", "CCN;NA", "CCC;high", "CF; 2", "C(;3"]
    rows += ["c1ccccc1; 4", "C1=CC=CC=C1;9", "CCCC;5", "CCl;6"]
    table.write_text("\n".join(rows))
    found = run(table, out, "--target", "logP", "--no-conformers")
    assert found.exit_code == 0, found.output
    known = PropertySet.load(out)
    assert known.smiles.tolist() == ["CCO", "CCN", "CF", "CCCC", "CCl"]
    assert "5 molecules (1 without any value), 4 rows left out" in found.stdout
    listed = (tmp_path / "out.h5.failures.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in listed] == ["line", "4", "6", "7", "8"]
    assert "'high'" in listed[1] and "valid" in listed[2]
    assert "line 8 has the same molecule with another value of 'logP'" in listed[3]
    for line in (4, 6, 7, 8):
        assert f"line {line}: " in found.stderr
