"""`physml vib`, end to end."""

import json
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write
from typer.testing import CliRunner, Result

from ase_physml.cli import app
from ase_physml.errors import DataError

pytest.importorskip("matplotlib")


def vib(tmp_path: Path, *arguments: object) -> Result:
    line = ["vib", *map(str, arguments), "--out", str(tmp_path / "out")]
    return CliRunner().invoke(app, line)


def test_a_minimum_and_its_files(tmp_path: Path) -> None:
    write(tmp_path / "cu.xyz", Atoms("Cu2", [[0, 0, 0], [0, 0, 2.4]]))
    result = vib(tmp_path, tmp_path / "cu.xyz", "--model", "emt")
    assert result.exit_code == 0, result.output
    assert "cu: symmetry number 2, found" in result.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    kinds = ("vib.json", "molden", "modes.traj", "xyz", "png")
    assert names == {f"cu.{kind}" for kind in kinds}
    stored = json.loads((tmp_path / "out" / "cu.vib.json").read_text())
    assert stored["shape"] == "linear" and stored["imaginary"] == 0
    assert stored["thermochemistry"]["conditions"]["low_modes"] == "grimme"
    # Kept, unless other conditions or another calculator are asked for.
    again = vib(tmp_path, tmp_path / "cu.xyz", "--model", "emt", "--resume")
    assert "1 done already" in again.stdout and again.exit_code == 0
    warm = ["--temperature", "400", "--resume"]
    again = vib(tmp_path, tmp_path / "cu.xyz", "--model", "emt", *warm)
    assert "at 400 K" in again.stdout and "done already" not in again.stdout
    other = ["--step", "0.01", "--resume"]
    refused = vib(tmp_path, tmp_path / "cu.xyz", "--model", "emt", *other)
    assert isinstance(refused.exception, DataError)


def test_what_is_no_minimum_is_no_success(tiny_potential: Path, tmp_path: Path) -> None:
    write(tmp_path / "set.xyz", [molecule("H2O"), molecule("PH3")])
    options = ["--model", tiny_potential, "--no-relax"]
    result = vib(tmp_path, tmp_path / "set.xyz", *options)
    assert result.exit_code == 1
    assert "set-0: not at a stationary point: the largest force is" in result.stdout
    assert "set-0: no thermochemistry" in result.stdout
    assert "set-1: " in result.stderr and "(P)" in result.stderr
    stored = json.loads((tmp_path / "out" / "set-0.vib.json").read_text())
    assert "no thermochemistry" in stored["thermochemistry"]
