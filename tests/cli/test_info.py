"""`physml info`, and what the command says of itself."""

import json
from pathlib import Path

import ase
import pytest
import torch
from typer.testing import CliRunner

from ase_physml import __version__
from ase_physml.cli import app
from ase_physml.errors import PotentialError
from ase_physml.jobs.file_hash import sha256
from ase_physml.store.checkpoint import load_potential


def test_prints_the_card(tiny_potential: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(tiny_potential)])
    assert result.exit_code == 0, result.output
    rows = {line[:16].strip(): line[16:].strip() for line in _lines(result.stdout)}
    _, card = load_potential(tiny_potential)
    assert rows["sha256"] == sha256(tiny_potential)
    assert rows["elements"].split() == ["H", "C", "N", "O"]
    assert rows["cutoff"] == f"{card.config.cutoff:g} Å"
    assert rows["level of theory"] == card.level_of_theory
    assert rows["domain"] == card.domain
    assert tiny_potential.name in result.stdout
    for version in (__version__, torch.__version__, ase.__version__):
        assert version in rows["running on"]


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def test_prints_measured_errors(tiny_potential: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from ase_physml.store.checkpoint import save_model

    model, card = load_potential(tiny_potential)
    path = tmp_path / "measured.pt"
    save_model(path, model, replace(card, errors={"mae_energy_meV": 12.3456}))
    result = CliRunner().invoke(app, ["info", str(path)])
    assert any(
        line.split() == ["mae_energy_meV", "12.35"] for line in _lines(result.stdout)
    )


def test_json_is_the_card(tiny_potential: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(tiny_potential), "--json"])
    _, card = load_potential(tiny_potential)
    assert json.loads(result.stdout) == json.loads(card.to_json())


def test_unknown_potential() -> None:
    result = CliRunner().invoke(app, ["info", "nothing.pt"])
    assert isinstance(result.exception, PotentialError)
    assert "nothing.pt" in str(result.exception)


def test_says_what_it_is_not_for() -> None:
    for name, words in (
        ("qm9_equilibrium.pt", ("vibrations", "barriers")),
        ("esol.pt", ("ions",)),
    ):
        result = CliRunner().invoke(app, ["info", name])
        (line,) = [x for x in _lines(result.stdout) if x.startswith("not for")]
        assert all(word in line for word in words)
        card = json.loads(CliRunner().invoke(app, ["info", name, "--json"]).stdout)
        assert set(words) <= set(card["not_for"])


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.stdout.split() == ["ase-physml", __version__]


@pytest.mark.parametrize("verb", ["relax", "info", "train", "data"])
def test_every_verb_has_help(verb: str) -> None:
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout
