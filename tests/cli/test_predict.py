"""`physml predict`."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from ase_physml.cli import app
from ase_physml.errors import DataError
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem
from ase_physml.store import registry
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import load_molecular, save_model
from ase_physml.workflows import prediction_tables
from ase_physml.workflows.molecular_properties import fingerprints, predict_properties


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = PhysChemConfig(atom_width=8, bond_width=8, molecule_width=8, targets=2)
    path = tmp_path / "two.pt"
    card = ModelCard(
        name="two",
        kind="physchem",
        architecture=config.to_dict(),
        target_names=["a", "b"],
        unit="eV",
    )
    save_model(path, PhysChem(config), card)
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
    assert "predicted_a, predicted_b (eV) of 2 molecules" in result.stdout
    header, *rows = read(out)
    assert header == ["name", "smiles", "predicted_a", "predicted_b"]
    assert [row[:2] for row in rows] == [["ethanol", "CCO"], ["methane", "C"]]
    expected = predict_properties(["CCO", "C"], model).values
    for row, values in zip(rows, expected, strict=True):
        assert [float(cell) for cell in row[2:]] == pytest.approx(values, rel=1e-4)


def test_what_plain_models_do_is_said_too(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "measured", lambda path: f"{path.name}: 1, plain 2")
    out = tmp_path / "out.csv"
    said = predict(model, "CCO", "--out", out)
    assert said.exit_code == 0
    assert "two.pt: 1, plain 2" in said.stdout
    said = predict(model, "CCO", "--fingerprints", "--out", tmp_path / "other.csv")
    assert "plain 2" not in said.stdout


def test_smiles_and_several_files(model: Path, tmp_path: Path) -> None:
    table, lines, out = (tmp_path / name for name in ("in.csv", "in.smi", "out.csv"))
    table.write_text("name,smiles\nethanol,CCO\n")
    lines.write_text("C methane\n")
    result = predict(model, "CO", table, lines, "C(C", "-o", out)
    assert result.exit_code == 1
    header, *rows = read(out)
    assert header == ["smiles", "name", "predicted_a", "predicted_b"]
    named = [["CO", "CO"], ["CCO", "ethanol"], ["C", "methane"], ["C(C", "C(C"]]
    assert [row[:2] for row in rows] == named
    expected = predict_properties(["CO", "CCO", "C"], model).values
    for row, values in zip(rows[:3], expected, strict=True):
        assert [float(cell) for cell in row[2:]] == pytest.approx(values, rel=1e-4)
    # By the line of the file that is written.
    assert "line 5: 'C(C' is not a valid SMILES" in result.stderr


def test_a_file_that_is_missing_is_no_smiles(model: Path, tmp_path: Path) -> None:
    result = predict(model, tmp_path / "no.smi", "-o", tmp_path / "out.csv")
    assert isinstance(result.exception, DataError)
    assert "no such file" in str(result.exception)


def test_bad_lines_are_listed_and_the_rest_go_on(model: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "in.smi", tmp_path / "out.csv"
    table.write_text("CCO fine\nC(C broken\nC\n")
    result = predict(model, table, "-o", out)
    assert result.exit_code == 1
    assert "line 2: 'C(C' is not a valid SMILES" in result.stderr
    rows = read(out)
    assert len(rows) == 4 and rows[2] == ["C(C", "broken", "", ""]
    assert all(rows[1]) and rows[3][2]
    listed = read(tmp_path / "out.csv.failures.csv")
    assert [row[:2] for row in listed[1:]] == [["2", "C(C"]]
    # A list of earlier does not outlive a run without failures.
    table.write_text("CCO\n")
    assert predict(model, table, "-o", out, "--overwrite").exit_code == 0
    assert not (tmp_path / "out.csv.failures.csv").exists()


def test_elements_that_the_model_never_saw_are_listed(
    model: Path, tmp_path: Path
) -> None:
    model_, card = load_molecular(model)
    save_model(model, model_, replace(card, elements=["C", "O"]))
    table, out = tmp_path / "in.smi", tmp_path / "out.csv"
    table.write_text("CCO\nC(\n[Na+].[O-]C\nCCCl\n")
    result = predict(model, table, "-o", out)
    assert "2 have elements that the model never saw" in result.stderr
    listed = read(tmp_path / "out.csv.unseen.csv")
    assert [row[:2] for row in listed[1:]] == [["3", "[Na+].[O-]C"], ["4", "CCCl"]]
    assert "no Na" in listed[1][2]
    assert "no Cl" in listed[2][2]
    # They have values all the same; a list of earlier does not outlive its reason.
    assert [bool(row[-1]) for row in read(out)[1:]] == [True, False, True, True]
    table.write_text("CCO\n")
    assert predict(model, table, "-o", out, "--overwrite").exit_code == 0
    assert not (tmp_path / "out.csv.unseen.csv").exists()


def test_column_and_existing_files(model: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "in.csv", tmp_path / "out.csv"
    table.write_text("SMILES,other\nnothing,CCO\n")
    result = predict(model, table, "-o", out, "--smiles-column", "other")
    assert result.exit_code == 0, result.output
    again = predict(model, table, "-o", out)
    assert isinstance(again.exception, DataError)
    assert "--overwrite" in str(again.exception)


LONG = "\n".join(
    f"{'C' * (1 + k % 7)}O line{k}" if k % 5 else "C( bad" for k in range(40)
)


def test_processes_write_the_same(model: Path, tmp_path: Path) -> None:
    table, one, two = tmp_path / "in.smi", tmp_path / "one.csv", tmp_path / "two.csv"
    table.write_text(LONG)
    assert predict(model, table, "-o", one).exit_code == 1
    result = predict(model, table, "-o", two, "--jobs", "2")
    assert "8 failed, listed in" in result.stderr
    assert two.read_text() == one.read_text()
    failures = read(tmp_path / "two.csv.failures.csv")
    assert [int(row[0]) for row in failures[1:]] == list(range(1, 41, 5))
    assert not (tmp_path / "two.csv.partial").exists()


def test_a_killed_run_is_resumed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, whole, out = tmp_path / "in.smi", tmp_path / "whole.csv", tmp_path / "o.csv"
    table.write_text(LONG)
    assert predict(model, table, "-o", whole).exit_code == 1
    asked: list[str] = []

    def dies(smiles: Sequence[str], **options: Any) -> Any:
        asked.extend(smiles)
        if len(asked) > 20:
            raise KeyboardInterrupt
        return predict_properties(smiles, **options)

    with monkeypatch.context() as kept:
        kept.setattr(prediction_tables, "predict_properties", dies)
        assert predict(model, table, "-o", out).exit_code == 130
    assert not out.exists() and len(asked) == 25
    other = predict(model, table, "-o", out, "--resume", "--fingerprints")
    assert "fingerprints was false, is true" in str(other.exception)
    asked.clear()

    def counts(smiles: Sequence[str], **options: Any) -> Any:
        asked.extend(smiles)
        return predict_properties(smiles, **options)

    monkeypatch.setattr(prediction_tables, "predict_properties", counts)
    assert predict(model, table, "-o", out, "--resume").exit_code == 1
    assert len(asked) == 20
    assert out.read_text() == whole.read_text()


def test_another_table_is_not_resumed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, out = tmp_path / "in.smi", tmp_path / "out.csv"
    table.write_text("C\nCC\nCCC")

    def dies(smiles: Sequence[str], **options: Any) -> Any:
        if "CCC" in smiles:
            raise KeyboardInterrupt
        return predict_properties(smiles, **options)

    with monkeypatch.context() as kept:
        kept.setattr(prediction_tables, "predict_properties", dies)
        assert predict(model, table, "-o", out).exit_code == 130
    table.write_text("N\nCC\nCCC")
    result = predict(model, table, "-o", out, "--resume")
    assert 'molecules was ["C", "CC", "CCC"], is ["N"' in str(result.exception)


def test_fingerprints(model: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "in.csv", tmp_path / "out.csv"
    table.write_text("smiles\nCCO\nC(\n")
    result = predict(model, table, "-o", out, "--fingerprints")
    assert result.exit_code == 1, result.output
    header, first, bad = read(out)
    assert header[1] == "fingerprint0" and len(header) == 9
    found = np.array(first[1:], dtype=float)
    assert found == pytest.approx(fingerprints(["CCO"], model)[0], rel=1e-4)
    assert bad[1:] == [""] * 8


def test_names_of_measured_and_predicted_columns(model: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "in.tsv", tmp_path / "out.csv"
    table.write_text("smiles\ta\tpredicted_a\nCCO\t1.0\told\nC\t2.0\told\tx\n")
    result = predict(model, table, "-o", out)
    assert result.exit_code == 1
    assert "line 3: 4 cells under 3 column names" in result.stderr
    header, first, second = read(out)
    assert header == ["smiles", "a", "predicted_a", "predicted_a_2", "predicted_b"]
    assert first[:3] == ["CCO", "1.0", "old"] and all(first)
    assert second == ["C", "2.0", "old", "", ""]


def test_a_file_of_structures_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("2\n\nO 0.0 0.0 0.0\nH 0.0 0.0 0.9\n")
    result = predict(model, tmp_path / "a.smi", "-o", tmp_path / "out.csv")
    assert "XYZ, not SMILES" in str(result.exception)
