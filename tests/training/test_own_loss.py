"""A loss of somebody's own: named by an entry point, listed in a recipe, trained."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from ase_physml.data.frame import Frame
from ase_physml.data.index_split import make_split
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import RecipeError
from ase_physml.training.callbacks import read_metrics
from ase_physml.training.distributed import Shard
from ase_physml.training.fit import Run, fit, load_recipe
from ase_physml.training.losses.loss import FrameLoss, MoleculeLoss, register
from ase_physml.training.molecular_recipe import MoleculeLosses
from ase_physml.training.physml_recipe import FrameLosses

TOY = '''
"""Forces along a label of their own: the dipole, of all things."""

from dataclasses import dataclass, field

from ase_physml.training.losses import FrameLoss, MoleculeLoss


@dataclass(frozen=True)
class Along(FrameLoss):
    """Work of the forces on the whole molecule against its dipole."""

    name = "along"
    labels = ("dipole",)
    reads = frozenset({"forces"})
    metric, unit = "mae_along", "D"

    scale: float = 1.0

    def applies(self, batch):
        return not batch.equilibrium

    def _error(self, context):
        spread = context.forces.square().sum(1)
        return self.scale * spread - context.batch.labels["dipole"]

    def __call__(self, context):
        return self._error(context).square().mean()

    def errors(self, context):
        return self._error(context).abs()


@dataclass(frozen=True)
class Undeclared(Along):
    name = "undeclared"
    reads = frozenset({"energies"})


@dataclass(frozen=True)
class Needy(Along):
    name = "needy"

    power: float = field(kw_only=True)


@dataclass(frozen=True)
class Shape(MoleculeLoss):
    name = "shape"

    def __call__(self, context):
        return context.prediction.trajectory[-1].square().mean()
'''
ENTRY_POINTS = """
[ase_physml.losses]
along = toy_losses:Along
undeclared = toy_losses:Undeclared
needy = toy_losses:Needy
other = toy_losses:Along
shape = toy_losses:Shape
missing = toy_losses:Missing
"""


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with losses, as pip would leave it."""
    about = tmp_path / "site" / "toy_losses-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-losses\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    (about.parent / "toy_losses.py").write_text(TOY)
    monkeypatch.syspath_prepend(about.parent)
    monkeypatch.delitem(sys.modules, "toy_losses", raising=False)


def recipe_of(folder: Path, losses: object) -> Path:
    random = np.random.default_rng(0)
    frames = [
        Frame(
            np.array([8, 1, 1]), random.normal(size=(3, 3)), -1.0,
            random.normal(size=(3, 3)), dipole=np.array([0.0, 0.0, 2.0]),
        )
        for _ in range(12)
    ]  # fmt: skip
    write(folder / "a.h5", frames, Metadata("none", equilibrium=False))
    path = folder / "own.yaml"
    values = {
        "sources": [{"path": str(folder / "a.h5")}],
        "model": {"width": 8, "depth": 1, "heads": 2, "n_basis": 4},
        "stages": [{"steps": 4, "warmup": 1, "losses": losses}],
        "steps_per_epoch": 2,
        "batch_size": 4,
    }
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.usefixtures("_installed")
def test_it_is_trained_and_logged(tmp_path: Path) -> None:
    path = recipe_of(tmp_path, {"energy": 0.0, "along": {"weight": 0.5, "scale": 2.0}})
    make_split(12, (0.25, 0.0), seed=0).save(tmp_path / "split.json")
    recipe = load_recipe(path, [f"sources.0.split={tmp_path / 'split.json'}"])
    (loss,) = recipe.losses_at(0).each
    assert (loss.name, loss.weight, loss.scale) == ("along", 0.5, 2.0)
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump({**recipe.to_dict(), "name": "own"}))
    assert load_recipe(again) == recipe
    potential = fit(
        recipe, path, Run(tmp_path / "out", progress=False, accelerator="cpu")
    )
    assert potential.exists()
    series = read_metrics(tmp_path / "out" / "csv")
    half = [0.5 * value for _, value in series["train/along"]]
    assert [value for _, value in series["train/total"]] == pytest.approx(half)
    assert series["val/mae_along"][0][1] > 0.0


@pytest.mark.usefixtures("_installed")
def test_what_it_asks_of_the_data_is_checked(tmp_path: Path, sets: Path) -> None:
    path = recipe_of(tmp_path, {"along": 1.0})
    recipe = load_recipe(path, [f"sources=[{{path: {sets / 'forces.h5'}}}]"])
    with pytest.raises(RecipeError, match=r"loss of along has no labels: .* dipole"):
        fit(recipe, path, Run(tmp_path / "out", progress=False, accelerator="cpu"))


@pytest.mark.usefixtures("_installed")
def test_what_it_reads_of_the_model_must_be_named(tmp_path: Path) -> None:
    path = recipe_of(tmp_path, {"undeclared": 1.0})
    with pytest.raises(RuntimeError, match="takes forces, which its `reads` does not"):
        fit(load_recipe(path), path, Run(tmp_path / "out", progress=False))


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"alone": 1.0}, r"losses: unknown key 'alone'; known: .*along.*, energy"),
        ({"along": -1.0}, "along must be at least 0"),
        ({"along": {"size": 1.0}}, "along: unknown key 'size'; known: scale, weight"),
        ({"along": {"scale": "x"}}, "along: scale: expected float"),
        ({"missing": 1.0}, "'missing', toy_losses:Missing, cannot be imported"),
        ({"needy": 1.0}, "needy: .*missing .*'power'"),
        ({"other": 1.0}, "has to have the name of its entry point, 'other'"),
        ({"shape": 1.0}, "'shape', toy_losses:Shape, is no FrameLoss"),
        (["along"], "losses: expected keys and values"),
    ],
)
def test_mistakes(tmp_path: Path, losses: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(recipe_of(tmp_path, losses))


@pytest.mark.usefixtures("_installed")
def test_one_of_molecules() -> None:
    losses = MoleculeLosses.from_weights(shape=0.5, hops=None)
    assert (losses.weights, losses.hops) == ({"shape": 0.5}, None)
    prediction = SimpleNamespace(trajectory=torch.full((2, 4, 3), 3.0))
    batch = SimpleNamespace(share=Shard(1, 2), size=5)
    terms = losses.terms(SimpleNamespace(batch=batch, prediction=prediction))
    # A number alone is the mean over the molecules that this process has.
    assert {k: (float(v), n) for k, (v, n) in terms.items()} == {"shape": (9.0, 2)}


def test_names_are_given_once() -> None:
    class Energy(FrameLoss):
        name = "energy"

    with pytest.raises(ValueError, match="there is a loss 'energy' already"):
        register(Energy)


def test_losses_are_summed_in_one_order() -> None:
    one = FrameLosses.from_weights(forces=1, energy=2, bound=3)
    other = FrameLosses.from_weights(bound=3, forces=1, energy=2)
    assert one == other
    assert list(one.weights) == ["bound", "energy", "forces"]
    assert set(FrameLoss.registered).isdisjoint(MoleculeLoss.registered)


def test_a_recipe_tells_all_losses_of_this_package() -> None:
    # What resumes is told apart by them: these names and values must not change.
    assert FrameLosses.from_weights(forces=2).to_dict() == {
        "energy": 1.0, "forces": 2.0, "stress": 0.0, "difference": 0.0,
        "zero_force": 0.0, "bound": 0.0, "mask": 0.0, "denoise": 0.0,
        "charges": 0.0, "dipole": 0.0,
    }  # fmt: skip
