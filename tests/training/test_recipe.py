"""Recipes: defaults, overrides, and a clear error for each mistake."""

from pathlib import Path

import pytest
import yaml

from ase_physml.errors import RecipeError
from ase_physml.training.fit import load_recipe
from ase_physml.training.recipe import find

MINIMAL = """
name: tiny
sources: [{path: a.h5}]
stages:
  - {steps: 10, losses: {energy: 1.0}}
  - {steps: 20, learning_rate: 5e-4, losses: {zero_force: 2}}
model: {width: 16, heads: 2}
steps_per_epoch: 1
"""


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(MINIMAL)
    return path


def test_values_and_defaults(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file)
    assert recipe.model.width == 16
    assert recipe.batch_size == 32
    assert recipe.total_steps == 30
    assert recipe.stages[1].losses.weights == {"energy": 1.0, "zero_force": 2.0}
    assert recipe.stages[1].learning_rate == 5e-4


def test_stage_of_each_step(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file)
    assert recipe.stage_at(9) == (recipe.stages[0], 9)
    assert recipe.stage_at(10) == (recipe.stages[1], 0)
    assert recipe.stage_at(29) == (recipe.stages[1], 19)


def test_overrides(recipe_file: Path) -> None:
    recipe = load_recipe(
        recipe_file,
        ["model.depth=5", "sources.0.path=b.h5", "huber=1e-1", "stages.1.steps=7"],
    )
    assert recipe.model.depth == 5
    assert recipe.sources[0].path == "b.h5"
    assert recipe.huber == 0.1
    assert recipe.total_steps == 17


def test_to_dict_is_yaml_and_reads_back(recipe_file: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file)
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(recipe.to_dict()))
    assert load_recipe(again) == recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.widht=5", "unknown key 'widht'"),
        ("widht", "not of the form"),
        ("batch_size=many", "expected int"),
        ("batch_size=0", "at least 1"),
        ("model=3", "expected keys and values"),
        ("stages=[]", "at least one stage"),
        ("steps_per_epoch=20", "30, are not a multiple of steps_per_epoch=20"),
        ("sources=[]", "at least one source"),
        ("stages.7.steps=1", "not a position"),
        ("huber.x=1", "has no keys"),
        ("mask_every=0.5", "expected int"),
        ("name=off", "quote it"),
        ("name=../up", "no slashes"),
        ("huber=.nan", "expected a finite number"),
        ("huber=-1", "huber must be above 0"),
        ("seed=-1", "seed must be at least 0"),
        ("ema=1", "ema must be below 1"),
        ("stages.0.losses.energy=-1", "energy must be at least 0"),
        ("noise.thermal_share=2", "thermal_share must be at most 1"),
        ("model.width=1000000", "width must be at most"),
        ("model.cutoff=0", "cutoff must be above 0"),
        ("sources.0.share=0", "share must be above 0"),
        ("batch_size=[", "override 'batch_size=.*not valid YAML"),
        ("refit_self_energies=true", "without start_from"),
        ("model.a_mask=true", "a bond graph, which no set has"),
    ],
)
def test_mistakes(recipe_file: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(recipe_file, ["huber=0.1", override])


def test_missing_and_malformed_files(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [")
    with pytest.raises(RecipeError, match="not valid YAML"):
        load_recipe(bad)
    bad.write_text("- 1")
    with pytest.raises(RecipeError, match="mapping"):
        load_recipe(bad)


def test_paths_are_found_beside_the_recipe(recipe_file: Path) -> None:
    (recipe_file.parent / "a.h5").touch()
    assert find("a.h5", recipe_file) == recipe_file.parent / "a.h5"
    with pytest.raises(RecipeError, match="does not exist"):
        find("b.h5", recipe_file)


def test_differences_need_something_to_compare(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("sources: [{path: a.h5}]\n")
    with pytest.raises(RecipeError, match="compare: smiles"):
        load_recipe(path, ["stages=[{steps: 500, losses: {difference: 1.0}}]"])
    load_recipe(
        path,
        [
            "stages=[{steps: 500, losses: {difference: 1.0}}]",
            "sources=[{path: a.h5, compare: smiles}]",
        ],
    )
