"""Fixtures that several rooms share."""

from pathlib import Path

import pytest
import torch

from ase_physml.models.physml.model import PhysML, PhysMLConfig
from ase_physml.potentials.card import PotentialCard
from ase_physml.potentials.checkpoint import save_potential


@pytest.fixture(scope="session")
def tiny_potential(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For H, C, N and O, with random weights: right rules, no chemistry."""
    config = PhysMLConfig(elements=(1, 6, 7, 8), width=16, depth=2, heads=2, n_basis=8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PhysML(config)
    card = PotentialCard.for_model(
        config,
        name="tiny",
        level_of_theory="none, random weights",
        domain="equilibrium",
        errors={"mae_energy_meV": 1234.5},
    )
    path = tmp_path_factory.mktemp("potentials") / "tiny.pt"
    save_potential(path, model, card)
    return path
