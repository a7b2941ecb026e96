"""Recipes with anything in them: a recipe, or one line that says what is wrong."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ase_physml.errors import PhysMLError
from ase_physml.training.fit import load_recipe

VALUES: list[Any] = [
    None, True, False, "x", "", "off", "1e-3", "nan", "../up", float("nan"),
    float("inf"), -1, 0, 1, 2.5, 1e300, -1e-300, 10**30, [], {}, [[]], [1, "a"],
    {"a": 1}, "2020-02-30", ["b"] * 1000, "é\u0000",
]  # fmt: skip

PHYSML: dict[str, Any] = {
    "name": "fuzz",
    "seed": 1,
    "sources": [{"path": "a.h5", "split": "a.json", "share": 0.5}, {"path": "b.h5"}],
    "model": {"width": 32, "depth": 2, "heads": 4, "n_basis": 16, "cutoff": 5.0},
    "stages": [
        {"steps": 100, "losses": {"energy": 1.0, "forces": 0.5}, "learning_rate": 1e-3},
        {"steps": 100, "warmup": 5, "noise": {"sigma": 0.5, "relaxed": 3}},
    ],
    "huber": 0.2,
    "noise": {"sigma": 0.5, "power": 2.0},
    "steps_per_epoch": 100,
    "patience": 3,
    "ema": 0.99,
}
MOLECULAR: dict[str, Any] = {
    "kind": "physchem",
    "name": "fuzz",
    "data": "m.h5",
    "split": "m.json",
    "model": {"variant": "physchem", "atom_width": 64, "steps": 4, "dropout": 0.1},
    "losses": {"conn": 1.0, "hops": 3, "decay": 0.6},
    "steps": 100,
    "steps_per_epoch": 50,
    "balance": True,
}
HAMNET: dict[str, Any] = {
    **MOLECULAR,
    "kind": "hamnet",
    "model": {"gcn_width": 16, "steps": 4, "step_size": 0.02, "head": "regression"},
    "losses": {"kabsch": 1.0, "adj": 0.1},
}


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Of all values, at any depth."""
    inner = node.items() if isinstance(node, dict) else []
    inner = enumerate(node) if isinstance(node, list) else inner
    return [p for k, v in inner for p in [(*path, k), *places(v, (*path, k))]]


def mutated(values: Any, random: np.random.Generator, choices: list[Any]) -> Any:
    """With a value or two replaced, removed or misspelt."""
    values = copy.deepcopy(values)
    for _ in range(random.integers(1, 3)):
        found = places(values)
        if not found:
            break
        *parents, last = found[random.integers(len(found))]
        node = values
        for parent in parents:
            node = node[parent]
        what = random.random()
        if what < 0.1:
            del node[last]
        elif what < 0.2 and isinstance(node, dict):
            node[f"{last}s"] = node.pop(last)
        else:
            node[last] = copy.deepcopy(choices[random.integers(len(choices))])
    return values


def is_refused_in_a_line(path: Path, overrides: list[str]) -> bool:
    try:
        recipe = load_recipe(path, overrides)
    except PhysMLError as error:
        text = str(error)
        assert text and "\n" not in text and len(text) < 2000, text
        return True
    again = path.with_name("again.yaml")
    again.write_text(yaml.safe_dump(recipe.to_dict()))
    assert load_recipe(again) == recipe
    return False


@pytest.mark.slow
@pytest.mark.parametrize(
    "base", [PHYSML, MOLECULAR, HAMNET], ids=["physml", "physchem", "hamnet"]
)
def test_values(base: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "fuzz.yaml"
    path.write_text(yaml.safe_dump(base))
    assert not is_refused_in_a_line(path, [])
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        path.write_text(yaml.safe_dump(mutated(base, random, VALUES)))
        refused += is_refused_in_a_line(path, [])
    assert 75 < refused < 150


@pytest.mark.slow
def test_texts(tmp_path: Path) -> None:
    path = tmp_path / "fuzz.yaml"
    whole = yaml.safe_dump(PHYSML).encode()
    random = np.random.default_rng(0)
    for _ in range(100):
        text = bytearray(whole[: random.integers(len(whole))])
        for _ in range(random.integers(4)):
            text[random.integers(len(text) + 1) :] += random.bytes(1)
        path.write_bytes(text)
        is_refused_in_a_line(path, [])
    for text in (
        b"[" * 5000,
        b"a: &a [*a]\n",
        b"\xff\xfe",
        b"a: !!python/object:os.x {}",
    ):
        path.write_bytes(text)
        assert is_refused_in_a_line(path, [])


@pytest.mark.slow
def test_aliases_that_multiply(tmp_path: Path) -> None:
    """A few lines of YAML that would be of gigabytes if written out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k + 1}: &a{k + 1} [{', '.join([f'*a{k}'] * 10)}]" for k in range(12)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join([*lines, "sources: *a12", "name: *a12"]))
    assert is_refused_in_a_line(path, [])


@pytest.mark.slow
def test_overrides(tmp_path: Path) -> None:
    path = tmp_path / "fuzz.yaml"
    path.write_text(yaml.safe_dump(PHYSML))
    random = np.random.default_rng(0)
    keys = [".".join(map(str, place)) for place in places(PHYSML)]
    keys += ["", ".", "sources.-1.path", "sources.²", "stages.99", "name.x", "a.b.c"]
    for _ in range(150):
        key = keys[random.integers(len(keys))]
        value = VALUES[random.integers(len(VALUES))]
        is_refused_in_a_line(path, [f"{key}={value}"])
