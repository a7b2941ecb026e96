"""Measuring models: figures equal plain loops, scripts write what they measured."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ase_physml.chem.collate import collate
from ase_physml.chem.property_sets import PropertySet
from ase_physml.data.index_split import Split
from ase_physml.errors import DataError, PhysMLError
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import load_molecular
from ase_physml.training.molecular_data import Molecules
from ase_physml.training.molecular_evaluation import (
    check_fits,
    evaluate,
    molecules_per_second,
)

FOLDER = Path(__file__).parents[3] / "training"
TEST = np.array([7, 0, 9, 4])


@pytest.fixture
def run_script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a script of training/ in this process: imports are what takes time."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def run(name: str, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        __import__(name).main()

    return run


def distances(x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x[:, None] - x[None], axis=-1)


def test_errors_of_conformations_equal_plain_loops(
    untrained: Callable[..., str], sets: Path
) -> None:
    model, _ = load_molecular(
        untrained("physchem", forces="springs", pair_layers=1, pair_width=8)
    )
    molecules = Molecules.load(sets / "molecules.h5", False, 39)
    report = evaluate(model, molecules, TEST)["conformations"]
    means, pooled, predicted = [], [], []
    for k in TEST:
        graph = collate(molecules.store.select(np.array([k])))
        with torch.no_grad():
            said = model.predict(graph)
        assert said.trajectory is not None and said.distances is not None
        assert graph.positions is not None
        true = distances(graph.positions.double().numpy())
        errors = distances(said.trajectory[-1].double().numpy()) - true
        means.append(np.sqrt(np.mean(errors**2)))
        pooled.extend((errors**2)[np.triu_indices(len(errors), 1)])
        aimed = np.zeros_like(true)
        first, second = graph.pairs.numpy()
        aimed[first, second] = aimed[second, first] = said.distances.numpy()
        predicted.append(np.sqrt(np.mean((aimed - true) ** 2)))
    assert report["molecules"] == len(TEST)
    assert report["distance_rms_mean_A"] == pytest.approx(np.mean(means), rel=1e-4)
    assert report["distance_rms_pooled_A"] == pytest.approx(
        np.sqrt(np.mean(pooled)), rel=1e-4
    )
    assert report["predicted_distance_rms_mean_A"] == pytest.approx(
        np.mean(predicted), rel=1e-4
    )
    assert report["legacy_physchem_distance_mse_A"] == pytest.approx(
        np.sqrt(np.mean(np.square(means))), rel=1e-4
    )
    assert report["kabsch_rmsd_or_mirror_mean_A"] <= report["kabsch_rmsd_mean_A"]


def test_errors_of_properties_equal_plain_ones(
    untrained: Callable[..., str], sets: Path
) -> None:
    chemnet = {"variant": "chemnet", "targets": 2}
    model, _ = load_molecular(untrained("physchem", **chemnet))
    molecules = Molecules.load(sets / "regression.h5", True, 39)
    # Molecule 3 has no second target.
    indices = np.array([3, *TEST])
    report = evaluate(model, molecules, indices)["properties"]
    with torch.no_grad():
        said = model.predict(collate(molecules.store.select(indices)))
    assert said.property is not None and molecules.properties is not None
    errors = said.property.numpy() - molecules.properties.targets[indices]
    rmse = np.sqrt(np.nanmean(errors**2, 0))
    assert list(report["rmse_of_targets"].values()) == pytest.approx(rmse, rel=1e-5)
    assert report["mae"] == pytest.approx(
        np.nanmean(np.abs(errors), 0).mean(), rel=1e-5
    )
    assert "legacy_hamnet_rmse" not in report
    each = report["mae_of_targets"].values()
    assert report["multi_mae"] == pytest.approx(sum(each), rel=1e-6)


def test_classes_are_measured_by_roc(untrained: Callable[..., str], sets: Path) -> None:
    classes = {"targets": 2, "head": "multiclass", "classes": 3}
    model, _ = load_molecular(untrained("hamnet", **classes))
    molecules = Molecules.load(sets / "multiclass.h5", True, 39)
    report = evaluate(model, molecules, np.arange(20))["properties"]
    assert 0.0 <= report["roc_auc"] <= 1.0
    assert np.shape(report["roc_auc_of_classes"]["noise"]) == (3,)


def test_molecules_without_conformation_have_no_answer(
    untrained: Callable[..., str], sets: Path
) -> None:
    reads = {"variant": "chemnet_conformer", "targets": 2}
    model, _ = load_molecular(untrained("physchem", **reads))
    molecules = Molecules.load(sets / "regression.h5", True, 39)
    # The first has one atom, and so no geometry to read.
    first, end = molecules.store.n_atoms[[0]].sum(), molecules.store.n_atoms[:6].sum()
    molecules.store.rows["positions"][first:end] = np.nan
    report = evaluate(model, molecules, np.arange(8))
    assert report["molecules"] == 8
    assert report["properties"]["molecules"] == 3
    assert np.isfinite(report["properties"]["rmse"])


def test_speed(untrained: Callable[..., str], sets: Path) -> None:
    model, _ = load_molecular(untrained("physchem"))
    molecules = Molecules.load(sets / "molecules.h5", False, 39)
    threads = torch.get_num_threads()
    assert molecules_per_second(model, molecules, TEST) > 1.0
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"order": "rank"}, "reads atoms in the order 'rank'"),
        ({"target_names": ["gap"]}, "predicts gap, but the data have heavy atoms"),
    ],
)
def test_models_of_other_data(sets: Path, values: dict[str, Any], message: str) -> None:
    molecules = Molecules.load(sets / "regression.h5", True, 39)
    card = ModelCard(name="x", kind="physchem", architecture={}, **values)
    with pytest.raises(DataError, match=message):
        check_fits(card, molecules)


def test_evaluate_script(
    run_script: Callable[..., None],
    untrained: Callable[..., str],
    sets: Path,
    tmp_path: Path,
) -> None:
    common = ("--data", sets / "molecules.h5", "--split", sets / "split.json")
    model, out = untrained("physchem"), tmp_path / "out.json"
    run_script("evaluate_molecules", model, *common, "--limit", 3, "--out", out)
    found = json.loads(out.read_text())
    assert (found["part"], found["molecules"]) == ("test", 3)
    assert found["split_hash"] == Split.load(sets / "split.json").hash
    assert found["trained_on_this_split"] is False
    assert found["conformations"]["molecules"] == 3
    assert found["molecules_per_second"] > 0.0


def test_seeds_are_trained_once(
    run_script: Callable[..., None],
    write_recipe: Callable[..., Path],
    sets: Path,
    tmp_path: Path,
) -> None:
    recipe = write_recipe(
        "physchem", data="regression.h5", model={"variant": "chemnet"},
        losses={"properties": 1.0}, steps=4,
    )  # fmt: skip
    out = tmp_path / "runs"
    common = (recipe, "--split", "random", "--out", out)
    run_script("seeds", *common, "--seeds", 0, 1)
    results = json.loads((out / "tiny_random.json").read_text())
    splits = [Split.load(out / f"tiny_random_{k}" / "split.json") for k in (0, 1)]
    assert [r["split_hash"] for r in results] == [s.hash for s in splits]
    assert splits[0].hash != splits[1].hash
    assert all(r["trained_on_this_split"] for r in results)
    model = out / "tiny_random_0" / "tiny.pt"
    written = model.stat().st_mtime_ns
    run_script("seeds", *common, "--seeds", 0, 1, "--part", "val")
    assert model.stat().st_mtime_ns == written
    table = (out / "tiny_random.md").read_text()
    assert " rmse " in table and " ± " in table and "| 2 |" in table
    assert (out / "tiny_random_val.md").exists()
    with pytest.raises(PhysMLError, match="is of another recipe"):
        run_script("seeds", *common, "steps=8", "--seeds", 0, 2)


def test_rows_of_a_table_are_one_recipe_with_changes(
    run_script: Callable[..., None],
    write_recipe: Callable[..., Path],
    sets: Path,
    tmp_path: Path,
) -> None:
    write_recipe("physchem", data="molecules.h5", steps=4)
    rows = {
        "alone": {"set": ["model.bond_states=false"], "printed": "0.5"},
        "both": {
            "set": ["model.variant=chemnet_multitask", "losses.properties=1.0"],
            "data": "regression.h5",
        },
    }
    table = tmp_path / "small_rows.json"
    table.write_text(json.dumps({"recipe": "tiny.yaml", "rows": rows}))
    out = tmp_path / "runs"
    run_script("rows", table, "--data", sets, "--out", out, "--seeds", 0)
    results = json.loads((out / "small.json").read_text())
    assert [r["row"] for r in results] == ["alone", "both"]
    assert "properties" not in results[0]
    assert results[1]["data"] == "regression.h5"
    assert results[1]["properties"]["multi_mae"] > 0.0
    markdown = (out / "small.md").read_text()
    assert "| alone |" in markdown and "0.5 |" in markdown


def test_scaffold_splits_do_not_depend_on_the_seed(
    run_script: Callable[..., None], write_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = write_recipe(
        "physchem", data="regression.h5", model={"variant": "chemnet"},
        losses={"properties": 1.0}, steps=4,
    )  # fmt: skip
    out = tmp_path / "runs"
    # Twelve of the twenty have no ring: they share the empty scaffold.
    run_script("seeds", recipe, "--split", "scaffold", "--seeds", 0, 1, "--out", out)
    results = json.loads((out / "tiny_scaffold.json").read_text())
    assert results[0]["split_hash"] == results[1]["split_hash"]
    assert results[0]["seed"] != results[1]["seed"]


def test_rows_are_split_whatever_they_hold(
    run_script: Callable[..., None],
    write_recipe: Callable[..., Path],
    sets: Path,
    tmp_path: Path,
) -> None:
    known = PropertySet.load(sets / "regression.h5")
    twice = known.store.select(np.arange(20) % 10)
    replace(known, store=twice).save(sets / "twice.h5")
    recipe = write_recipe(
        "physchem", data="twice.h5", model={"variant": "chemnet"},
        losses={"properties": 1.0}, steps=4,
    )  # fmt: skip
    shared = {}
    for name in ("rows", "random"):
        common = (recipe, "--split", name, "--seeds", 0, "--out", tmp_path)
        run_script("seeds", *common)
        split = Split.load(tmp_path / f"tiny_{name}_0" / "split.json")
        train, test = (
            {str(twice.smiles[k]) for k in p} for p in (split.train, split.test)
        )
        shared[name] = train & test
    assert shared["rows"]
    assert not shared["random"]
