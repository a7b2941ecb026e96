"""`physml doctor`: versions, devices, extras, and the speed of this machine."""

import json
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ase_physml
from ase_physml.cli import app

doctor = import_module("ase_physml.cli.doctor")
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_SECONDS", 0.0)
    monkeypatch.setattr(doctor, "_FEWEST", 2)


def test_json_has_versions_extras_and_times(brief: None) -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["versions"]["ase-physml"] == ase_physml.__version__
    assert found["versions"]["torch"] != "missing"
    assert found["extras"]["train"]["installed"].startswith("lightning ")
    for name in ("default", "torch"):
        assert found["speed"][name]["ms"] > 0.0
    assert found["speed"]["torch"]["backend"] == "torch"


def test_every_extra_of_users_is_there_with_its_packages() -> None:
    stated = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    extras = stated["optional-dependencies"]
    assert {*doctor._EXTRAS} == {*extras} - {"docs", "test", "dev"}
    for name, (packages, _) in doctor._EXTRAS.items():
        listed = " ".join(extras[name]).replace("_", "-")
        assert all(package.replace("_", "-") in listed for package in packages)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor._EXTRAS, "xtb", (("no-such-package",), "a baseline"))
    done = CliRunner().invoke(app, ["doctor", "--no-speed"])
    assert done.exit_code == 0, done.output
    (line,) = (one for one in done.output.splitlines() if "a baseline" in one)
    assert "xtb" in line and "not installed" in line


def test_a_potential_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_MODEL", "missing.pt")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "speed: failed: PotentialError: missing.pt" in done.output
