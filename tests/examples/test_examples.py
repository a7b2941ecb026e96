"""The examples run, with a small potential."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
OPTIONS: dict[str, list[str]] = {
    "relax_and_compare.py": ["--molecule", "H2O"],
    "pair_parameters.py": ["H2O"],
    "reaction_path.py": ["--images", "4", "--steps", "2"],
}


def test_every_example_is_run() -> None:
    assert {path.name for path in FOLDER.glob("*.py")} == set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_example(name: str, tiny_potential: Path, tmp_path: Path) -> None:
    if name == "relax_and_compare.py":
        pytest.importorskip("tblite")
    done = subprocess.run(
        [sys.executable, FOLDER / name, *OPTIONS[name], "--model", tiny_potential],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 3
