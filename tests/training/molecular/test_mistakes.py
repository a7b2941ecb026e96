"""What cannot be trained is refused before it starts, in one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ase_physml.errors import DataError, PhysMLError, PotentialError, RecipeError
from ase_physml.training.fit import load_recipe

Train = Callable[..., Path]

PROPERTIES = {"properties": 1.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"model": {"colour": 1}}, "model: unknown key 'colour'"),
        ({"losses": {}}, "nothing is learned"),
        ({"losses": {"distances": 1.0}}, "only PhysChem with forces=springs"),
        ({"losses": PROPERTIES}, "variant='physnet' predicts conformations alone"),
        (
            {"model": {"variant": "chemnet"}, "losses": {**PROPERTIES, "conn": 1.0}},
            "this model learns no positions",
        ),
        ({"model": {"variant": "physchem", "targets": 1}}, "would never be learned"),
        ({"steps": 7}, "not a multiple of steps_per_epoch"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"share": 0.0}, "share must be above 0"),
    ],
)
def test_recipes(
    write_recipe: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(PhysMLError, match=message):
        load_recipe(write_recipe("physchem", **changes))


def test_no_such_kind(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("kind: gnn")
    with pytest.raises(RecipeError, match="'gnn' of model; there are physml, physchem"):
        load_recipe(path)


def test_frozen_engine_needs_a_first_stage(write_recipe: Callable[..., Path]) -> None:
    path = write_recipe("hamnet", model={"frozen_engine": True}, losses=PROPERTIES)
    with pytest.raises(RecipeError, match="give start_from"):
        load_recipe(path)


def test_split_of_another_set(train: Train) -> None:
    with pytest.raises(DataError, match="splits 10 molecules, but there are 20"):
        train("physchem", split="half.json")


def test_no_conformations(train: Train) -> None:
    with pytest.raises(RecipeError, match="no molecule to train on has a conformation"):
        train("physchem", data="bare.h5")
    reads = {"variant": "chemnet_conformer"}
    with pytest.raises(RecipeError, match="make the set with conformers"):
        train("physchem", data="bare.h5", model=reads, losses=PROPERTIES)


def test_no_targets(train: Train) -> None:
    with pytest.raises(DataError, match="molecules without targets"):
        train("physchem", model={"variant": "chemnet"}, losses=PROPERTIES)


def test_nothing_to_validate_on_is_no_mistake(train: Train) -> None:
    assert train("physchem", split="no_val.json", steps=4).exists()


def test_start_from_another_kind(train: Train, untrained: Callable[..., str]) -> None:
    start = untrained("hamnet")
    with pytest.raises(
        RecipeError, match="its kind is 'hamnet', here it is 'physchem'"
    ):
        train("physchem", start_from=start)


def test_start_from_another_architecture(
    train: Train, untrained: Callable[..., str]
) -> None:
    start = untrained("physchem", bond_width=4)
    with pytest.raises(RecipeError, match=r"bond_width=4, but the recipe has .*=8"):
        train("physchem", start_from=start)


def test_start_from_an_engine_of_other_steps(
    train: Train, untrained: Callable[..., str]
) -> None:
    # Its weights would fit, and mean something else.
    start = untrained("hamnet", steps=3)
    with pytest.raises(
        RecipeError, match=r"steps=3, but the recipe has model\.steps=2"
    ):
        train("hamnet", data="regression.h5", losses=PROPERTIES, start_from=start)


def test_start_from_another_order_of_atoms(
    train: Train, untrained: Callable[..., str]
) -> None:
    start = untrained("physchem", order="rank")
    with pytest.raises(RecipeError, match="its order is 'rank', here it is 'smiles'"):
        train("physchem", start_from=start)


def test_start_from_a_potential(train: Train, tiny_potential: Path) -> None:
    with pytest.raises(PotentialError, match=r"holds a .* is needed"):
        train("physchem", start_from=str(tiny_potential))


def test_start_from_nothing(train: Train) -> None:
    with pytest.raises(RecipeError, match=r"none\.pt does not exist"):
        train("physchem", start_from="none.pt")
