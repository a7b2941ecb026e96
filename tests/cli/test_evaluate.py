"""The verb `physml evaluate`: what scripts read, and where it works."""

import json
from pathlib import Path

from typer.testing import CliRunner

from ase_physml.cli import app
from ase_physml.errors import DataError


def line(out: Path, *more: str) -> list[str]:
    given = ["evaluate", "emt", "--suites", "extensivity", "--molecules", "5"]
    return [*given, "--out", str(out), *more]


def test_verdicts_for_scripts(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, line(tmp_path / "report", "--json"))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["extensivity"]["emt"]
    assert found["mark"] == "PASS" and found["cases"] == 5
    assert found["reasons"] == []
    assert (tmp_path / "report" / "report.html").is_file()


def test_processes_are_of_this_machine_or_of_a_scheduler(tmp_path: Path) -> None:
    more = ("--jobs", "2", "--scheduler", "local:1")
    done = CliRunner().invoke(app, line(tmp_path / "report", *more))
    assert isinstance(done.exception, DataError)
    assert "give one of the two" in str(done.exception)
