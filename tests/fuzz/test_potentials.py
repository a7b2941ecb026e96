"""Files of models and checkpoints with anything in them: right, or one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ase_physml.cli import app
from ase_physml.errors import PhysMLError
from ase_physml.store.checkpoint import input_of, load_molecular, load_potentials

Random = np.random.Generator

VALUES: list[Any] = [
    None, True, "x", "", "0.5", float("nan"), float("inf"), -1, 0, 1, 3, 2.5, 1e300,
    10**7, 10**30, [], {}, [[]], [1, "a"], {"a": 1}, [0] * 1000, "é\u0000\n",
]  # fmt: skip


def replaced(node: Any, random: Random) -> Any:
    """A mapping with a value at some depth replaced, removed or renamed."""
    if not isinstance(node, dict) or not node:
        return VALUES[random.integers(len(VALUES))]
    key = list(node)[random.integers(len(node))]
    what = random.random()
    if what < 0.1:
        return {k: v for k, v in node.items() if k != key}
    if what < 0.2:
        return {**node, f"{key}x": node[key]}
    if what < 0.4 or not isinstance(node[key], dict):
        return {**node, key: VALUES[random.integers(len(VALUES))]}
    return {**node, key: replaced(node[key], random)}


def strange(value: torch.Tensor, random: Random) -> Any:
    """Something else than a tensor of this shape with finite numbers."""
    choices: list[Callable[[], Any]] = [
        lambda: value[:0],
        lambda: value.unsqueeze(0),
        lambda: value.new_zeros(()).expand(2_000_000, 2_000_000),
        lambda: value.new_zeros(()).expand(value.shape),
        lambda: value * float("nan"),
        lambda: value.to(torch.complex64),
        lambda: value.to(torch.int64),
        lambda: value.to(torch.float16) if value.dim() else value,
        lambda: value.to_sparse(),
        lambda: torch.empty_like(value, device="meta"),
        lambda: "weights",
        lambda: None,
        lambda: value.tolist(),
    ]
    return choices[random.integers(len(choices))]()


def damaged_content(content: dict[str, Any], random: Random) -> Any:
    what = random.random()
    content = dict(content)
    if what < 0.6:
        metadata = replaced(json.loads(content["metadata"]), random)
        if random.random() < 0.3:
            metadata = replaced(metadata, random)
        content["metadata"] = json.dumps(metadata)
    elif what < 0.9:
        state = content["state"]
        one = dict(state[0] if isinstance(state, list) else state)
        name = list(one)[random.integers(len(one))]
        one[name] = strange(one[name], random)
        content["state"] = [one, *state[1:]] if isinstance(state, list) else one
    else:
        content = replaced(content, random)
    return content


def damaged_bytes(whole: bytes, random: Random) -> bytes:
    if random.random() < 0.5:
        return whole[: random.integers(len(whole))]
    changed = bytearray(whole)
    for place in random.integers(len(whole), size=random.integers(1, 20)):
        changed[place] ^= int(random.integers(1, 256))
    return bytes(changed)


def assert_one_line(error: BaseException) -> None:
    text = str(error)
    assert text and "\n" not in text and len(text) < 2000, text


def is_refused(path: Path) -> bool:
    """In one line, by the loader and by `physml info`; or by none of them."""
    shown = CliRunner().invoke(app, ["info", str(path)])
    if shown.exception is not None and not isinstance(shown.exception, PhysMLError):
        raise shown.exception
    try:
        if input_of(path) == "atoms":
            load_potentials(path)
        else:
            load_molecular(path)
    except PhysMLError as error:
        assert_one_line(error)
        assert shown.exception is not None
        return True
    assert shown.exit_code == 0, shown.output
    return False


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["tiny_potential", "tiny_committee", "tiny_conformations"]
)
def test_files(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    source: Path = request.getfixturevalue(name)
    assert not is_refused(source)
    whole = source.read_bytes()
    content = torch.load(source, weights_only=True)
    random = np.random.default_rng(0)
    path = tmp_path / "fuzz.pt"
    refused = 0
    for k in range(110):
        if k % 5 == 0:
            path.write_bytes(damaged_bytes(whole, random))
        else:
            torch.save(damaged_content(content, random), path)
        refused += is_refused(path)
    assert 55 < refused < 110


@pytest.mark.slow
@pytest.mark.parametrize(
    "claim",
    [
        {"width": 10**6},
        {"depth": 10**6},
        {"width": 16_384, "depth": 256},
        {"n_basis": 16_384},
    ],
)
def test_claims_of_size(
    tiny_potential: Path, tmp_path: Path, claim: dict[str, int]
) -> None:
    content = torch.load(tiny_potential, weights_only=True)
    card = json.loads(content["metadata"])
    card["architecture"] |= claim
    torch.save({**content, "metadata": json.dumps(card)}, tmp_path / "large.pt")
    assert is_refused(tmp_path / "large.pt")


def damaged_checkpoint(content: dict[str, Any], random: Random) -> dict[str, Any]:
    """One value at some depth is another, or gone."""
    content = dict(content)
    key = list(content)[random.integers(len(content))]
    if key in ("state_dict", "current_model_state") and random.random() < 0.7:
        one = dict(content[key])
        name = list(one)[random.integers(len(one))]
        content[key] = {**one, name: strange(one[name], random)}
    else:
        content[key] = replaced(content[key], random)
    return content


@pytest.mark.slow
def test_checkpoints(tmp_path: Path) -> None:
    quickstart = Path(__file__).parents[2] / "training" / "quickstart.yaml"
    out = tmp_path / "out"
    command = [
        "train", str(quickstart), "stages.0.warmup=1", "steps_per_epoch=2",
        "validate=2", "batch_size=2", "--out", str(out),
    ]  # fmt: skip
    done = CliRunner().invoke(app, [*command, "stages.0.steps=2"])
    assert done.exit_code == 0, done.output
    last = out / "checkpoints" / "last.ckpt"
    whole = last.read_bytes()
    content = torch.load(last, weights_only=True)
    random = np.random.default_rng(0)
    refused = 0
    for k in range(40):
        if k % 4 == 0:
            last.write_bytes(damaged_bytes(whole, random))
        else:
            torch.save(damaged_checkpoint(content, random), last)
        longer = [*command, "stages.0.steps=4", "--resume", "last"]
        result = CliRunner().invoke(app, longer)
        if result.exception is not None:
            assert isinstance(result.exception, PhysMLError), (k, result.exception)
            assert_one_line(result.exception)
            refused += 1
    assert refused > 20
