"""Charges and dipoles as labels: learned, measured, refused where there are none."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.build import molecule

from ase_physml import PhysMLCalculator
from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import RecipeError
from ase_physml.training.fit import Run, fit, load_recipe

OF_WATER = np.array([-0.6, 0.3, 0.3])


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Waters with charges and dipoles, every third without."""
    frames = []
    for k in range(24):
        atoms = molecule("H2O")
        atoms.rattle(0.05, seed=k)
        given = k % 3 > 0
        frames.append(
            Frame(
                atoms.numbers,
                atoms.positions,
                energy=0.1 * (k % 2),
                charges=OF_WATER if given else None,
                dipole=OF_WATER @ atoms.positions if given else None,
                name=f"water {k}",
            )
        )
    write(tmp_path / "set.h5", frames, Metadata("toy", equilibrium=False))
    values = {
        "name": "charged",
        "sources": [{"path": str(tmp_path / "set.h5")}],
        "model": {
            "width": 8, "depth": 1, "heads": 2, "n_basis": 6, "pair_terms": "physical",
        },
        "stages": [
            {
                "steps": 60,
                "learning_rate": 0.02,
                "losses": {"energy": 0.1, "charges": 3.0, "dipole": 3.0},
            }
        ],
        "batch_size": 6,
        "steps_per_epoch": 60,
        "ema": 0.0,
    }  # fmt: skip
    path = tmp_path / "charged.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_they_are_learned(recipe: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", accelerator="cpu", progress=False)
    found = fit(load_recipe(recipe), recipe, run)
    atoms = molecule("H2O")
    atoms.calc = PhysMLCalculator(found, device="cpu")
    np.testing.assert_allclose(atoms.get_charges(), OF_WATER, atol=0.1)
    expected = OF_WATER @ atoms.positions
    np.testing.assert_allclose(atoms.get_dipole_moment(), expected, atol=0.08)


def test_wells_stay_near_chemistry(recipe: Path, tmp_path: Path) -> None:
    """A regulariser draws them there, and leaves the other weights to the others."""
    strayed = {}
    for weight in (0.0, 10.0):
        losses = f"stages.0.losses={{energy: 0.1, charges: 3.0, chemistry: {weight}}}"
        chosen = load_recipe(recipe, [losses, "stages.0.learning_rate=0.05"])
        run = Run(tmp_path / f"run{weight}", accelerator="cpu", progress=False)
        atoms = molecule("H2O")
        atoms.calc = PhysMLCalculator(fit(chosen, recipe, run), device="cpu")
        depth = atoms.calc.pair_parameters(atoms).depth
        strayed[weight] = float((depth / 0.05).log().abs().max())
    assert strayed[10.0] < 0.5 * strayed[0.0]


def test_a_model_without_charges_is_refused(recipe: Path) -> None:
    with pytest.raises(RecipeError, match=r"model\.pair_terms=physical"):
        load_recipe(recipe, ["model.pair_terms=paper"])
    with pytest.raises(RecipeError, match=r"chemistry.*model\.pair_terms=physical"):
        load_recipe(
            recipe,
            ["model.pair_terms=paper", "stages.0.losses={energy: 1, chemistry: 1}"],
        )
