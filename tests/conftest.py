"""Fixtures that several rooms share."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.store.card import Domain, ModelCard
from ase_physml.store.checkpoint import load_potentials, save_model

CONFIG = PhysMLConfig(elements=(1, 6, 7, 8), width=16, depth=2, heads=2, n_basis=8)


@pytest.fixture(scope="session")
def script() -> Callable[..., str]:
    """Runs a script of training/, and returns what it printed."""
    folder = Path(__file__).parents[1] / "training"

    def run(name: str, *arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, folder / name, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def tiny_potential(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For H, C, N and O, with random weights: right rules, no chemistry."""
    path = tmp_path_factory.mktemp("potentials") / "tiny.pt"
    card = _card("tiny", "equilibrium", errors={"mae_energy_meV": 1234.5})
    save_model(path, _random(0), card)
    return path


@pytest.fixture(scope="session")
def tiny_committee(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three members that say rather different things, and a threshold between."""
    path = tmp_path_factory.mktemp("potentials") / "three.pt"
    uncertainty = {
        "energy_scale": 2.0,
        "forces_scale": 3.0,
        "threshold_eV_per_A": 1e-3,
    }
    card = _card("three", "off-equilibrium", uncertainty=uncertainty)
    save_model(path, [_random(seed) for seed in range(3)], card)
    return path


@pytest.fixture
def members(tiny_committee: Path, tmp_path: Path) -> list[Path]:
    """The members of the small committee, one file each."""
    models, card = load_potentials(tiny_committee)
    paths = [tmp_path / f"{k}.pt" for k in range(len(models))]
    for path, model in zip(paths, models, strict=True):
        save_model(path, model, card)
    return paths


@pytest.fixture(scope="session")
def tiny_conformations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PhysNet with springs and random weights: distances of a size, no chemistry."""
    path = tmp_path_factory.mktemp("models") / "distances.pt"
    config = PhysChemConfig(
        variant="physnet",
        forces="springs",
        atom_width=16,
        bond_width=8,
        pair_width=8,
        pair_layers=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PhysChem(config)
    card = ModelCard.for_model(config, name="distances")
    save_model(path, model, card)
    return path


def _card(name: str, domain: Domain, **values: Any) -> ModelCard:
    level = "none, random weights"
    return ModelCard.for_model(
        CONFIG, name=name, level_of_theory=level, domain=domain, **values
    )


def _random(seed: int) -> PhysML:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PhysML(CONFIG)
