"""A model of one's own: registered in one line, then like any other."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import torch
import yaml
from ase.build import molecule
from torch import nn

from ase_physml import PhysMLCalculator
from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import PotentialError, RecipeError
from ase_physml.graph import AtomGraph
from ase_physml.models import architecture as table
from ase_physml.models.architecture import Architecture, architecture, register
from ase_physml.models.energy_model import Energies, EnergyConfig, EnergyModel
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import load_potential, save_model
from ase_physml.training.fit import Run, fit, load_recipe
from ase_physml.typed import Range


@dataclass(frozen=True)
class MorseConfig(EnergyConfig):
    """One well for all pairs.

    Attributes:
        distance: Distance at the minimum, Å.
    """

    model_name = "Morse"

    distance: Annotated[float, Range(above=0.0)] = 1.1


class Morse(EnergyModel):
    """``E = depth (1 - exp(-(d - distance)))^2`` of every pair."""

    def __init__(self, config: MorseConfig) -> None:
        super().__init__(config)
        self.depth = nn.Parameter(torch.tensor(0.5))

    def forward(self, graph: AtomGraph) -> Energies:
        """Half of each pair's energy on either atom."""
        between = graph.pair_distances(graph.edge_distances())
        pairs = self.depth * (1.0 - torch.exp(self.config.distance - between)).square()
        atoms = graph.sum_pairs(pairs)
        return Energies(graph.sum_atoms(atoms.unsqueeze(-1)).squeeze(-1), atoms, pairs)


MORSE = Architecture("morse", "atoms", MorseConfig, Morse)


@pytest.fixture
def morse() -> Iterator[Morse]:
    register(MORSE)
    yield Morse(MorseConfig(elements=(1, 8), distance=1.0))
    table._registered.clear()


def test_files_and_calculators_know_it(morse: Morse, tmp_path: Path) -> None:
    path = tmp_path / "morse.pt"
    card = ModelCard.for_model(
        morse.config, name="morse", level_of_theory="none", domain="equilibrium"
    )
    save_model(path, morse, card)
    loaded, read = load_potential(path)
    assert isinstance(loaded, Morse) and loaded.config.distance == 1.0
    assert (read.kind, read.numbers) == ("morse", (1, 8))
    atoms = molecule("H2O")
    gaps = atoms.get_all_distances()[np.triu_indices(3, k=1)]
    expected = 0.5 * ((1.0 - np.exp(1.0 - gaps)) ** 2).sum()
    for model in (path, morse):
        atoms.calc = PhysMLCalculator(model, device="cpu")
        assert atoms.get_potential_energy() == pytest.approx(expected, abs=1e-6)
        moved = atoms.copy()
        moved.calc = atoms.calc
        moved.positions[0, 2] += 1e-4
        slope = (moved.get_potential_energy() - expected) / 1e-4
        assert -atoms.get_forces()[0, 2] == pytest.approx(slope, abs=1e-3)


def test_a_file_of_a_model_that_is_not_there(morse: Morse, tmp_path: Path) -> None:
    card = ModelCard.for_model(
        morse.config, name="morse", level_of_theory="none", domain="equilibrium"
    )
    save_model(tmp_path / "morse.pt", morse, card)
    table._registered.clear()
    with pytest.raises(PotentialError, match="'morse'; there are physml"):
        load_potential(tmp_path / "morse.pt")


def test_names_are_unique(morse: Morse) -> None:
    register(MORSE)  # the same again
    for name in ("morse", "physml"):
        with pytest.raises(PotentialError, match="there already"):
            register(Architecture(name, "bonds", MorseConfig, Morse))
    assert architecture("morse") is MORSE


def test_a_config_of_no_model() -> None:
    with pytest.raises(PotentialError, match="register its Architecture"):
        ModelCard.for_model(MorseConfig(), name="unknown")


def test_recipes_train_it(morse: Morse, tmp_path: Path) -> None:
    """With its E0 fitted, from scratch and going on from its file."""
    frames = []
    for k, (stretch, energy) in enumerate(((0.9, 1.2), (1.0, 0.4), (1.2, 0.3)) * 8):
        atoms = molecule("H2O")
        positions = stretch * atoms.positions
        name = f"water {k}"
        frames.append(Frame(atoms.numbers, positions, energy=energy, name=name))
    write(tmp_path / "set.h5", frames, Metadata("toy", equilibrium=False))
    recipe = tmp_path / "morse.yaml"
    values = {
        "name": "mine",
        "sources": [{"path": str(tmp_path / "set.h5")}],
        "model": {"kind": "morse", "distance": 0.95},
        "stages": [{"steps": 4, "losses": {"energy": 1.0}}],
        "batch_size": 4,
        "steps_per_epoch": 4,
    }
    recipe.write_text(yaml.safe_dump(values))
    loaded = load_recipe(recipe)
    assert loaded.to_dict()["model"]["kind"] == "morse"
    out = fit(loaded, recipe, Run(tmp_path / "run", accelerator="cpu", progress=False))
    model, card = load_potential(out)
    assert isinstance(model, Morse) and model.config.elements == (1, 8)
    assert card.kind == "morse" and model.depth.item() != 0.5
    again = load_recipe(recipe, [f"start_from={out}", "name=more"])
    run = Run(tmp_path / "more", accelerator="cpu", progress=False)
    more, _ = load_potential(fit(again, recipe, run))
    assert isinstance(more, Morse) and more.depth.item() != model.depth.item()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"kind": "nothing"}, "no model of the kind 'nothing'"),
        ({"kind": 3}, "expected a name"),
        ({"kind": "physchem"}, "gives no energies"),
        ({"kind": "morse", "width": 3}, "unknown key 'width'"),
        ({"kind": "morse", "distance": -1}, "distance must be above 0"),
    ],
)
def test_what_a_recipe_may_not_say_of_it(
    model: dict[str, object], message: str, morse: Morse, tmp_path: Path
) -> None:
    recipe = tmp_path / "wrong.yaml"
    values = {"sources": [{"path": "set.h5"}], "model": model}
    recipe.write_text(yaml.safe_dump(values))
    with pytest.raises(RecipeError, match=message):
        load_recipe(recipe)
