"""`physml saddle`, end to end."""

import json
from pathlib import Path

import pytest
from ase import Atoms
from ase.io import read, write
from typer.testing import CliRunner, Result

from ase_physml.cli import app
from ase_physml.errors import DataError, StructureError


@pytest.fixture(autouse=True)
def _surfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "workflows")


def saddle(tmp_path: Path, *arguments: object) -> Result:
    line = ["saddle", *map(str, arguments), "--model", "surfaces:Jump"]
    return CliRunner().invoke(app, [*line, "--out", str(tmp_path / "out")])


def test_guesses_to_saddles(tmp_path: Path) -> None:
    near = Atoms("OHO", [[0, 0, 0], [1.35, 0.05, 0], [2.6, 0, 0]])
    far = Atoms("OHO", [[0, 0, 0], [1.0, 0.05, 0], [2.6, 0, 0]])
    write(tmp_path / "g.xyz", [near, far])
    result = saddle(tmp_path, tmp_path / "g.xyz", "--zpe", "--steps", "8")
    stored = [
        json.loads((tmp_path / "out" / f"g-{k}.saddle.json").read_text())
        for k in range(2)
    ]
    # Two rotations of the line are modes of the bent guess, and weak ones.
    assert stored[0]["grade"] in ("PASS", "WARN")
    assert stored[0]["barrier"] == pytest.approx(0.5, abs=1e-3)
    assert "joins " in result.stdout and "zero-point energies add" in result.stdout
    assert read(tmp_path / "out" / "g-0.saddle.xyz").get_potential_energy() > 0.49
    assert (result.exit_code == 1) == any(one["grade"] == "FAIL" for one in stored)
    refused = saddle(tmp_path, tmp_path / "g.xyz")
    assert isinstance(refused.exception, DataError)
    same = ["--zpe", "--steps", "8", "--resume"]
    kept = saddle(tmp_path, tmp_path / "g.xyz", *same)
    assert kept.exit_code == 0 and "2 done already" in kept.stdout
    other = saddle(tmp_path, tmp_path / "g.xyz", "--steps", "9", "--resume")
    assert isinstance(other.exception, DataError) and "steps" in str(other.exception)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    result = saddle(tmp_path, tmp_path / "no.xyz")
    assert isinstance(result.exception, StructureError)
    assert "no such file" in str(result.exception)
