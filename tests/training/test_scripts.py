"""The scripts beside the recipes: they run, and say what they measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "training"
SET = FOLDER / "quickstart_equilibrium.h5"
SPLIT = FOLDER / "quickstart_equilibrium_split.json"


def script(name: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, FOLDER / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_evaluate_measures_a_potential(tiny_potential: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    common = ("--data", SET, "--split", SPLIT, "--molecules", 2, "--out", out)
    script("evaluate.py", tiny_potential, *common)
    found = json.loads(out.read_text())
    assert found["part"] == "test"
    assert found["test_molecules"] == 38
    # A random potential has no idea of energies near -300 eV.
    assert found["mae_energy_meV"] > 1e4
    assert found["mae_force_eV_per_A"] > 0.0
    assert found["recovery_from_0.1_A"]["molecules"] == 2


def test_evaluate_recovers_minima_of_the_method_that_made_them(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    out = tmp_path / "out.json"
    common = ("--data", SET, "--split", SPLIT, "--molecules", 4, "--out", out)
    script("evaluate.py", "tblite:GFN2-xTB", *common, "--deviations", 0.05)
    found = json.loads(out.read_text())["recovery_from_0.05_A"]
    assert found["median_A"] < 0.03
    assert found["converged"] == 1.0


def test_quickstart_set_is_made_anew(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    text = script("make_quickstart.py", "--out", tmp_path, "--limit", 20)
    assert "quickstart_equilibrium.h5: 20 frames" in text
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "quickstart.h5", "quickstart_split.json",
        "quickstart_equilibrium.h5", "quickstart_equilibrium_split.json",
    }  # fmt: skip
