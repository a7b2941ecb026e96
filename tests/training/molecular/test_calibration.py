"""Committees of models of properties: the file, its answers, its spread."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ase_physml import PhysChemCalculator, fingerprints, predict_properties
from ase_physml.chem.property_sets import PropertySet, import_table
from ase_physml.cli import app
from ase_physml.data.property_tables import read_table
from ase_physml.errors import DataError, PotentialError
from ase_physml.models.architecture import build_model
from ase_physml.models.ensemble import Ensemble
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import load_molecular, save_model
from ase_physml.training.molecular_evaluation import calibrate, join_models

SMILES = ["CCO", "C", "c1ccccc1O", "CC(C)(C)C", "CCN", "OCCO"]
NARROW = {"atom_width": 16, "bond_width": 8, "molecule_width": 12, "steps": 2}
HEADS = {
    "regression": {"targets": 2},
    "classification": {"targets": 2, "head": "classification"},
    "multiclass": {"targets": 2, "head": "multiclass", "classes": 3},
}


def member(folder: Path, seed: int, head: str = "regression", **values: object) -> Path:
    torch.manual_seed(seed)
    architecture = {**NARROW, **HEADS[head], **values}
    names = [f"p{k}" for k in range(architecture["targets"])]
    card = ModelCard(
        name="one",
        kind="physchem",
        architecture=architecture,
        target_names=names,
        task=head,
        elements=["C", "N", "O"],
    )
    path = folder / f"{head}{seed}.pt"
    save_model(path, build_model("physchem", architecture), card)
    return path


@pytest.fixture(params=list(HEADS))
def head(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def solubilities(tmp_path: Path) -> Path:
    """A set like ESOL."""
    header = "smiles,measured log solubility in mols per litre"
    rows = [f"{smiles},{-k / 2}" for k, smiles in enumerate(SMILES)]
    table = tmp_path / "esol.csv"
    table.write_text("\n".join([header, *rows]) + "\n")
    import_table(read_table(table), tmp_path / "esol.h5", conformers=False)
    return tmp_path / "esol.h5"


def of_solubility(folder: Path, seeds: range, data: Path) -> list[Path]:
    names = list(PropertySet.load(data).target_names)
    files = [member(folder, seed, targets=1) for seed in seeds]
    for file in files:
        model, card = load_molecular(file)
        save_model(file, model, replace(card, target_names=names))
    return files


def test_answers_are_means_of_the_members(tmp_path: Path, head: str) -> None:
    files = [member(tmp_path, seed, head) for seed in range(3)]
    alone = np.stack([predict_properties(SMILES, file).values for file in files])
    out = tmp_path / "all.pt"
    join_models(files, out)
    found = predict_properties(SMILES, out)
    np.testing.assert_allclose(found.values, alone.mean(0), rtol=1e-4, atol=1e-6)
    assert found.std is not None
    np.testing.assert_allclose(found.std, alone.std(0, ddof=1), rtol=1e-3, atol=1e-6)
    assert found.std.min() > 0
    assert predict_properties(SMILES, files[0]).std is None


def test_fingerprints_stand_side_by_side(tmp_path: Path) -> None:
    files = [member(tmp_path, seed) for seed in range(2)]
    join_models(files, tmp_path / "all.pt")
    expected = np.concatenate([fingerprints(SMILES, file) for file in files], axis=1)
    np.testing.assert_array_equal(fingerprints(SMILES, tmp_path / "all.pt"), expected)


def test_conformations_are_those_of_the_first_member(tmp_path: Path) -> None:
    files = [member(tmp_path, seed) for seed in range(2)]
    join_models(files, tmp_path / "all.pt")
    one, both = (
        PhysChemCalculator(path, smiles="CCO").predicted_distances
        for path in (files[0], tmp_path / "all.pt")
    )
    np.testing.assert_array_equal(one, both)


def test_committees_may_be_joined_again(tmp_path: Path) -> None:
    files = [member(tmp_path, seed) for seed in range(3)]
    join_models(files[:2], tmp_path / "two.pt")
    join_models([tmp_path / "two.pt", files[2]], tmp_path / "three.pt")
    model, card = load_molecular(tmp_path / "three.pt")
    assert isinstance(model, Ensemble) and len(model.members) == 3
    assert card.name == "three" and card.format_version == 2
    # What knows nothing of committees reads single models all the same.
    assert load_molecular(files[0])[1].format_version == 1


def test_elements_are_those_that_all_members_saw(tmp_path: Path) -> None:
    files = [member(tmp_path, seed) for seed in range(2)]
    model, card = load_molecular(files[1])
    save_model(files[1], model, replace(card, elements=["O", "C"]))
    join_models(files, tmp_path / "all.pt")
    found = predict_properties(["CCO", "CN"], tmp_path / "all.pt")
    assert [one.index for one in found.unseen] == [1]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"seed": 1, "head": "classification"}, "its architecture is"),
        ({"seed": 1, "atom_width": 32}, "its architecture is"),
    ],
)
def test_members_that_differ(
    tmp_path: Path, second: dict[str, object], message: str
) -> None:
    files = [member(tmp_path, 0), member(tmp_path, **second)]
    with pytest.raises(PotentialError, match=message):
        join_models(files, tmp_path / "all.pt")


def test_a_committee_needs_two_models_of_properties(tmp_path: Path) -> None:
    with pytest.raises(PotentialError, match="two models of properties"):
        join_models([member(tmp_path, 0)], tmp_path / "all.pt")
    files = [member(tmp_path, seed, targets=0) for seed in range(2)]
    with pytest.raises(PotentialError, match="two models of properties"):
        join_models(files, tmp_path / "all.pt")


def test_calibrated_spread_is_as_large_as_the_errors(
    tmp_path: Path, solubilities: Path
) -> None:
    out = tmp_path / "all.pt"
    join_models(of_solubility(tmp_path, range(3), solubilities), out)
    raw = predict_properties(SMILES, out)
    said = calibrate(out, solubilities)
    found = predict_properties(SMILES, out)
    np.testing.assert_array_equal(found.values, raw.values)
    assert found.std is not None and raw.std is not None
    np.testing.assert_allclose(found.std, raw.std * said["scale"], rtol=1e-5)
    errors = found.values - PropertySet.load(solubilities).targets
    assert np.mean(found.std**2) == pytest.approx(np.mean(errors**2), rel=1e-4)
    assert said["molecules"] == len(SMILES)


def test_what_cannot_be_calibrated(tmp_path: Path, solubilities: Path) -> None:
    files = of_solubility(tmp_path, range(1), solubilities)
    with pytest.raises(PotentialError, match="only committees of regressions"):
        calibrate(files[0], solubilities)
    join_models([files[0], files[0]], tmp_path / "twins.pt")
    with pytest.raises(DataError, match="members that are equal"):
        calibrate(tmp_path / "twins.pt", solubilities)


def test_from_the_command_line(tmp_path: Path, solubilities: Path) -> None:
    files = of_solubility(tmp_path, range(2), solubilities)
    out, table = tmp_path / "all.pt", tmp_path / "in.smi"
    run = CliRunner().invoke
    joined = run(app, ["committee", *map(str, files), "--out", str(out),
                       "--data", str(solubilities)])  # fmt: skip
    assert joined.exit_code == 0 and "error / spread" in joined.output
    table.write_text("CCO\nC(\n")
    found = run(app, ["predict", str(out), str(table), "-o", str(tmp_path / "o.csv")])
    assert found.exit_code == 1
    with (tmp_path / "o.csv").open() as file:
        header, good, bad = csv.reader(file)
    assert header[-1] == f"{header[-2]}_std"
    assert float(good[-1]) > 0 and bad[-2:] == ["", ""]
    shown = run(app, ["info", str(out)])
    assert "members" in shown.output and "rank_correlation" in shown.output


def test_potentials_need_data(tiny_potential: Path, tmp_path: Path) -> None:
    found = CliRunner().invoke(
        app, ["committee", str(tiny_potential), "--out", str(tmp_path / "x.pt")]
    )
    assert found.exit_code == 2 and "need --data" in found.output
