"""Twenty small molecules, with and without conformations and properties."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ase_physml.chem.initial_geometry import featurise_with_conformer
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.chem.property_sets import PropertySet
from ase_physml.data.index_split import Split
from ase_physml.data.property_tables import Task
from ase_physml.models.architecture import build_model
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import save_model
from ase_physml.training.fit import Run, fit, load_recipe
from ase_physml.training.molecular_recipe import MolecularRecipe

SMILES = (
    "C", "CC", "CCO", "CCN", "C=O", "C#N", "CC=O", "c1ccccc1", "CC(C)C", "OCCO",
    "CCCl", "C1CC1", "CNC", "COC", "CC#N", "NC=O", "CCF", "C=C", "CCS", "O",
)  # fmt: skip
_PHYSCHEM: dict[str, Any] = {
    "kind": "physchem",
    "name": "tiny",
    "data": "molecules.h5",
    "split": "split.json",
    "model": {
        "variant": "physnet", "atom_width": 16, "bond_width": 8, "molecule_width": 16,
        "steps": 2,
    },
    "losses": {"conn": 1.0},
    "steps": 8,
    "steps_per_epoch": 4,
    "warmup": 2,
    "batch_size": 8,
    "ema": 0.9,
}  # fmt: skip
_HAMNET: dict[str, Any] = {
    **_PHYSCHEM,
    "kind": "hamnet",
    "model": {"state_width": 8, "gcn_width": 16, "steps": 2, "width": 16,
              "fingerprint": 16},
}  # fmt: skip

_BASES = {"physchem": _PHYSCHEM, "hamnet": _HAMNET}


def _properties(store: MoleculeStore, task: Task, classes: int) -> PropertySet:
    random = np.random.default_rng(0)
    targets = np.stack([10.0 + store.n_atoms, random.permutation(store.n_atoms)], 1)
    targets = targets.astype(float)
    if task != "regression":
        targets = np.floor(classes * random.random(targets.shape))
    targets[3, 1] = np.nan
    return PropertySet(
        task, store, targets, ("heavy atoms", "noise"), task, "1", classes
    )


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with molecules.h5, bare.h5, one set for each task, and splits."""
    folder = tmp_path_factory.mktemp("molecules")
    store = MoleculeStore.of([featurise_with_conformer(smiles) for smiles in SMILES])
    store = replace(store, facts={"order": "smiles"})
    store.save(folder / "molecules.h5")
    bare = {name: rows for name, rows in store.rows.items() if name != "positions"}
    for task, classes in (("regression", 2), ("classification", 2), ("multiclass", 3)):
        made = _properties(store, task, classes)
        made.save(folder / f"{task}.h5")
    without = replace(
        _properties(store, "regression", 2), store=replace(store, rows=bare)
    )
    without.save(folder / "bare.h5")
    order = np.random.default_rng(0).permutation(len(SMILES))
    Split(np.sort(order[10:]), order[:5], order[5:10]).save(folder / "split.json")
    Split(order[10:], order[:0], order[:10]).save(folder / "no_val.json")
    half = order[order < 10]
    Split(half[4:], half[:2], half[2:4]).save(folder / "half.json")
    return folder


@pytest.fixture
def write_recipe(sets: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write the recipe of a kind, changed at will; ``model`` is merged."""

    def write(kind: str, **changes: Any) -> Path:
        base = _BASES[kind]
        model = {**base["model"], **changes.pop("model", {})}
        values = {**base, **changes, "model": model}
        for name in ("data", "split"):
            values[name] = str(sets / values[name])
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return write


@pytest.fixture
def train(write_recipe: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Train by a recipe and return the path of the model."""

    def run(kind: str, out: str = "out", options: Any = None, **changes: Any) -> Path:
        path = write_recipe(kind, **changes)
        recipe = load_recipe(path)
        assert isinstance(recipe, MolecularRecipe)
        given = {"progress": False, "accelerator": "cpu", **(options or {})}
        return fit(recipe, path, Run(tmp_path / out, **given))

    return run


@pytest.fixture
def untrained(tmp_path: Path) -> Callable[..., str]:
    """Path of a file with random weights, of a recipe's architecture or another."""

    def save(kind: str, order: str = "smiles", **changes: Any) -> str:
        path = tmp_path / "untrained.pt"
        model = build_model(kind, {**_BASES[kind]["model"], **changes})
        card = ModelCard(
            name="x", kind=kind, architecture=model.config.to_dict(), order=order
        )
        save_model(path, model, card)
        return str(path)

    return save
