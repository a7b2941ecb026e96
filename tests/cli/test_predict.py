"""`physml predict`."""

import csv
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from ase_physml.cli import app
from ase_physml.errors import DataError
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem
from ase_physml.potentials.molecular import MolecularCard, save_molecular
from ase_physml.tasks.properties import predict_properties


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = PhysChemConfig(atom_width=8, bond_width=8, molecule_width=8, targets=2)
    path = tmp_path / "two.pt"
    card = MolecularCard("two", "physchem", config.to_dict(), ["a", "b"], unit="eV")
    save_molecular(path, PhysChem(config), card)
    return path


def predict(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def read(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_a_csv_gets_columns(model: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "in.csv", tmp_path / "out.csv"
    table.write_text("name,smiles\nethanol,CCO\nmethane,C\n")
    result = predict(model, table, "-o", out)
    assert result.exit_code == 0, result.output
    assert "a, b (eV) of 2 molecules" in result.stdout
    header, *rows = read(out)
    assert header == ["name", "smiles", "a", "b"]
    assert [row[:2] for row in rows] == [["ethanol", "CCO"], ["methane", "C"]]
    expected = predict_properties(["CCO", "C"], model).values
    for row, values in zip(rows, expected, strict=True):
        assert [float(cell) for cell in row[2:]] == pytest.approx(values, rel=1e-4)


def test_bad_lines_are_listed_and_the_rest_go_on(model: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "in.smi", tmp_path / "out.csv"
    table.write_text("CCO fine\nC(C broken\nC\n")
    result = predict(model, table, "-o", out)
    assert result.exit_code == 1
    assert "row 2: 'C(C' is not a valid SMILES" in result.stderr
    rows = read(out)
    assert len(rows) == 4 and rows[2] == ["C(C", "broken", "", ""]
    assert all(rows[1]) and rows[3][2]
    listed = read(tmp_path / "out.csv.failures.csv")
    assert [row[:2] for row in listed[1:]] == [["1", "C(C"]]
    # A list of earlier does not outlive a run without failures.
    table.write_text("CCO\n")
    assert predict(model, table, "-o", out, "--overwrite").exit_code == 0
    assert not (tmp_path / "out.csv.failures.csv").exists()


def test_column_and_existing_files(model: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "in.csv", tmp_path / "out.csv"
    table.write_text("SMILES,other\nnothing,CCO\n")
    result = predict(model, table, "-o", out, "--smiles-column", "other")
    assert result.exit_code == 0, result.output
    again = predict(model, table, "-o", out)
    assert isinstance(again.exception, DataError)
    assert "--overwrite" in str(again.exception)
