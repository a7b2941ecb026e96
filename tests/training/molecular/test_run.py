"""PhysChem and HamNet on tiny sets: learning, resuming, starting from a file."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from ase_physml.chem.collate import collate
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.models.hamnet.engine import HamNetEngine
from ase_physml.models.hamnet.model import HamNet
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import load_molecular
from ase_physml.training.callbacks import read_metrics
from ase_physml.training.molecular_evaluation import join_models
from ase_physml.training.molecular_module import MolecularTraining
from ase_physml.training.molecular_recipe import PhysChemRecipe
from ase_physml.training.molecular_training import SaveMolecular

Train = Callable[..., Path]

JOINT: dict[str, Any] = {
    "data": "regression.h5",
    "model": {"variant": "physchem", "dropout": 0.2},
    "losses": {"properties": 1.0, "conn": 0.1},
}


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_molecular(path)[0].state_dict()


def assert_equal_weights(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=1e-6, rtol=1e-5)


def logged(path: Path) -> dict[str, list[tuple[int, float]]]:
    return read_metrics(path.parent / "csv")


def test_physnet_learns_conformations(train: Train) -> None:
    path = train("physchem", steps=120, steps_per_epoch=40, learning_rate=5e-3)
    losses = [value for _, value in logged(path)["train/conn"]]
    assert losses[-1] < 0.5 * losses[0]
    model, card = load_molecular(path)
    assert isinstance(model, PhysChem)
    assert (card.kind, card.target_names, card.order) == ("physchem", [], "smiles")
    assert list(card.split_hashes) == ["molecules.h5"]
    # CCF and CCCl are held out.
    assert card.elements == ["C", "N", "O", "S"]
    assert card.training["steps"] == 120


def test_physchem_learns_both(train: Train, sets: Path) -> None:
    path = train("physchem", **JOINT)
    series = logged(path)
    for name in ("train/conn", "train/properties", "val/rmse", "val/distance_rms"):
        assert np.isfinite([value for _, value in series[name]]).all(), name
    model, card = load_molecular(path)
    assert card.target_names == ["heavy atoms", "noise"]
    assert model.config.targets == 2
    # In the units of the targets already: the head knows their mean.
    molecules = MoleculeStore.load(sets / "molecules.h5")
    found = model.predict(collate(molecules)).property
    assert found is not None
    assert 8.0 < found[:, 0].detach().mean() < 20.0


def test_springs_learn_distances_too(train: Train) -> None:
    springs = {"forces": "springs", "pair_layers": 1, "pair_width": 8, "blocks": 1}
    path = train("physchem", model=springs, losses={"conn": 1.0, "distances": 1.0})
    assert {"train/conn", "train/distances"} <= logged(path).keys()


def test_chemnet_learns_classes(train: Train) -> None:
    path = train(
        "physchem", data="multiclass.h5", model={"variant": "chemnet"},
        losses={"properties": 1.0}, balance=True,
    )  # fmt: skip
    model, card = load_molecular(path)
    assert isinstance(model.config, PhysChemConfig)
    assert (card.task, model.config.classes, model.config.head) == (
        "multiclass", 3, "multiclass",
    )  # fmt: skip
    assert {"val/score", "train/properties"} <= logged(path).keys()


def test_old_features_of_atoms(train: Train) -> None:
    path = train("physchem", model={"atom_features": 34}, steps=4)
    assert weights(path)["first_states.atoms.weight"].shape[1] == 34


def test_two_stages_of_hamnet(train: Train) -> None:
    first = train("hamnet", "first")
    engine, _ = load_molecular(first)
    assert isinstance(engine, HamNetEngine)
    path = train(
        "hamnet", "second", data="classification.h5", start_from=str(first),
        model={"frozen_engine": True}, losses={"properties": 1.0},
    )  # fmt: skip
    model, card = load_molecular(path)
    assert isinstance(model, HamNet) and model.engine is not None
    assert (card.task, card.kind) == ("classification", "hamnet")
    for name, value in engine.state_dict().items():
        torch.testing.assert_close(model.engine.state_dict()[name], value)


def test_start_from_a_model_of_the_same_architecture(train: Train) -> None:
    first = train("physchem", "first")
    second = train(
        "physchem", "second", start_from=str(first), learning_rate=1e-9, steps=4
    )
    assert_equal_weights(first, second)


def test_start_from_a_model_of_other_properties(train: Train) -> None:
    first = train("physchem", "first", **JOINT)
    again = train(
        "physchem", "again", **JOINT, start_from=str(first), learning_rate=1e-9
    )
    assert_equal_weights(first, again)
    other = {**JOINT, "data": "classification.h5", "start_from": str(first)}
    path = train("physchem", "other", **other, learning_rate=1e-9)
    before, after = weights(first), weights(path)
    for name, value in after.items():
        kept = not name.startswith("head.")
        assert torch.allclose(before[name], value, atol=1e-6) == kept or "mean" in name


def test_start_from_a_committee(train: Train, tmp_path: Path) -> None:
    members = [train("physchem", f"m{seed}", **JOINT, seed=seed) for seed in range(2)]
    both = tmp_path / "both.pt"
    join_models(members, both)
    path = train("physchem", "new", **JOINT, start_from=str(both), learning_rate=1e-9)
    assert_equal_weights(members[0], path)


@pytest.mark.parametrize("split", ["split.json", "no_val.json"])
def test_averaged_weights_are_saved(train: Train, split: str) -> None:
    path = train("physchem", split=split)
    last = path.parent / "checkpoints" / "last.ckpt"
    saved = torch.load(last, weights_only=False)
    for name, value in weights(path).items():
        assert torch.equal(value, saved["state_dict"][f"model.{name}"]), name
    running = saved["current_model_state"]
    assert any(not torch.equal(saved["state_dict"][k], running[k]) for k in running)


class StopAfter(pl.Callback):
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


@pytest.mark.parametrize("keep_best", [False, True])
def test_resumed_run_ends_where_the_whole_one_does(
    train: Train, keep_best: bool
) -> None:
    # With dropout, whose random numbers no checkpoint has.
    longer = {**JOINT, "steps": 16, "keep_best": keep_best, "learning_rate": 1e-2}
    whole = train("physchem", "whole", **longer)
    stop = {"callbacks": [StopAfter(2)]}
    half = train("physchem", "half", stop, **longer)
    last = half.parent / "checkpoints" / "last.ckpt"
    resumed = train("physchem", "half", {"resume": last}, **longer)
    assert_equal_weights(whole, resumed)
    steps = [load_molecular(path)[1].training["steps"] for path in (whole, resumed)]
    assert steps[0] == steps[1]
    assert [s for s, _ in logged(resumed)["train/total"]] == [3, 7, 11, 15]


@pytest.fixture
def saver(tmp_path: Path) -> Callable[[], SaveMolecular]:
    card = ModelCard(
        name="best",
        kind="physchem",
        architecture=PhysChemConfig(variant="physnet").to_dict(),
    )
    return lambda: SaveMolecular(tmp_path, card, keep_best=True)


def test_the_best_is_kept(saver: Callable[[], SaveMolecular], tmp_path: Path) -> None:
    recipe = PhysChemRecipe(name="best", data="none", split="none")
    model = PhysChem(PhysChemConfig(variant="physnet"))
    module = MolecularTraining(model, recipe)

    def kept(save: SaveMolecular, steps: int, error: float) -> int:
        module.errors = [torch.tensor([error])]
        trainer = SimpleNamespace(
            sanity_checking=False, is_global_zero=True, global_step=steps
        )
        save.on_validation_epoch_end(trainer, module)  # type: ignore[arg-type]
        found = load_molecular(tmp_path / "best.pt")[1].training["steps"]
        assert isinstance(found, int)
        return found

    first = saver()
    # Nothing to score it by is still better than no file.
    assert kept(first, 1, float("nan")) == 1
    assert kept(first, 2, 0.5) == 2
    assert kept(first, 3, 0.7) == 2
    assert kept(first, 4, float("nan")) == 2
    resumed = saver()
    resumed.load_state_dict(first.state_dict())
    assert kept(resumed, 5, 0.6) == 2
    assert kept(resumed, 6, 0.4) == 6
