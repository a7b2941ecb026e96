"""What tells one run from another."""

from pathlib import Path

import pytest

from ase_physml.training.fit import load_recipe
from ase_physml.training.resume import _differences, recipe_identity

RECIPE = """
sources: [{path: a.h5, split: a.json}]
stages: [{steps: 10}, {steps: 20, losses: {forces: 1}}]
steps_per_epoch: 10
"""
LONGER = "stages=[{steps: 10}, {steps: 20, losses: {forces: 1}}, {steps: 10}]"


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    (tmp_path / "a.h5").write_bytes(b"content")
    (tmp_path / "a.json").write_bytes(b"{}")
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE)
    return path


def differences(path: Path, done: int, *overrides: str) -> list[str]:
    before = recipe_identity(load_recipe(path), path)
    recipe = load_recipe(path, overrides)
    now = recipe_identity(recipe, path)
    return [str(one) for one in _differences(before, now, recipe, done)]


def test_equal_recipes_are_the_same_run(recipe_file: Path, tmp_path: Path) -> None:
    (tmp_path / "b.h5").write_bytes(b"content")
    assert differences(recipe_file, 0) == []
    assert differences(recipe_file, 0, "sources.0.path=b.h5", "seed=0") == []


@pytest.mark.parametrize(
    ("done", "overrides", "expected"),
    [
        (10, ["stages.1.steps=40"], []),
        (20, ["stages.1.steps=10"], []),
        (30, ["stages.1.steps=10"], ["stages.1.steps was 20, is 10"]),
        (10, ["stages.0.steps=20"], ["stages.0.steps was 10, is 20"]),
        (30, [LONGER], []),
        (0, ["stages.1.losses.forces=2"], ["stages.1.losses.forces was 1, is 2"]),
        (0, ["model.width=64"], ["model.width was 128, is 64"]),
    ],
)  # fmt: skip
def test_more_steps_are_the_same_run(
    recipe_file: Path, done: int, overrides: list[str], expected: list[str]
) -> None:
    assert differences(recipe_file, done, *overrides) == expected


def test_fewer_stages_are_another_run(recipe_file: Path) -> None:
    assert "stages.1.steps was 20, is not there" in differences(
        recipe_file, 10, "stages=[{steps: 10}]"
    )


def test_losses_of_later_versions_do_not_end_a_run(recipe_file: Path) -> None:
    stored = recipe_identity(load_recipe(recipe_file), recipe_file)
    for key in [key for key in stored if key.endswith("losses.stress")]:
        del stored[key]
    recipe = load_recipe(recipe_file)
    now = recipe_identity(recipe, recipe_file)
    assert now != stored
    assert _differences(stored, now, recipe, 10) == []
    asked = load_recipe(recipe_file, ["stages.0.losses.stress=1"])
    (found,) = _differences(stored, recipe_identity(asked, recipe_file), asked, 10)
    assert str(found) == "stages.0.losses.stress was not there, is 1"


@pytest.mark.parametrize(
    ("key", "asked"), [("model.cls", "one-way"), ("optimizer", "soap")]
)
def test_keys_of_later_versions_do_not_end_a_run_at_their_defaults(
    recipe_file: Path, key: str, asked: str
) -> None:
    stored = recipe_identity(load_recipe(recipe_file), recipe_file)
    del stored[key]
    for value, expected in ((None, []), (asked, [f"{key} was not there"])):
        recipe = load_recipe(recipe_file, [f"{key}={value}"] if value else [])
        now = recipe_identity(recipe, recipe_file)
        found = _differences(stored, now, recipe, 10)
        assert [str(one).split(",")[0] for one in found] == expected


def test_another_content_of_a_file(recipe_file: Path) -> None:
    stored = recipe_identity(load_recipe(recipe_file), recipe_file)
    recipe_file.with_name("a.h5").write_bytes(b"other content")
    recipe = load_recipe(recipe_file)
    (found,) = _differences(stored, recipe_identity(recipe, recipe_file), recipe, 0)
    assert str(found) == "sources.0.path has another content"
