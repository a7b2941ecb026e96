"""`--scheduler`: what workers of a cluster find is what this process finds."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from ase.build import molecule
from ase.io import read, write
from typer.testing import CliRunner

from ase_physml.cli import app
from ase_physml.errors import DataError

pytest.importorskip("distributed")
NAMES = ["H2O", "CH4", "CH3OH", "NH3", "C2H4", "CH3CH2OH", "C2H6", "HCN"]


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def structures(tmp_path: Path) -> Path:
    found = [molecule(name) for name in [*NAMES, *NAMES]]
    for seed, atoms in enumerate(found):
        atoms.rattle(0.1, seed=seed)
    write(tmp_path / "many.xyz", found)
    return tmp_path / "many.xyz"


@pytest.fixture
def relaxing(structures: Path, tiny_potential: Path) -> list[str | Path]:
    short = ["--fmax", "0.05", "--steps", "15"]
    return ["relax", structures, "--model", tiny_potential, *short, "--no-plot"]


@pytest.mark.slow
def test_relax(relaxing: list[str | Path], tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    run(*relaxing, "--out", here)
    run(*relaxing, "--out", there, "--scheduler", "local:2")
    names = sorted(path.name for path in here.iterdir())
    assert len(names) == 2 * 2 * len(NAMES)
    assert sorted(path.name for path in there.iterdir()) == names
    for name in names:
        one, other = read(here / name, ":"), read(there / name, ":")
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(b.positions, a.positions, atol=1e-6)
            np.testing.assert_allclose(b.get_forces(), a.get_forces(), atol=1e-6)


@pytest.mark.slow
def test_a_killed_relax_loses_nothing(
    relaxing: list[str | Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "ase_physml.cli", *relaxing, "--steps", "60",
        "--fmax", "1e-6", "--out", out, "--scheduler", "local:2",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(out.glob("*.xyz")) and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]
    os.kill(workers[0].pid, signal.SIGKILL)
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, text
    assert len(list(out.glob("*.xyz"))) == 2 * len(NAMES)
    assert not list(out.glob("*.part"))


@pytest.mark.slow
def test_conformers(tiny_conformations: Path, tmp_path: Path) -> None:
    smiles = ["CCO", "CC(=O)N", "C[C@H](O)CN", "C1CC1", "OCCO"]
    model = ["--model", tiny_conformations, "-n", "2"]
    here, there = tmp_path / "here.sdf", tmp_path / "there.sdf"
    run("conformers", *smiles, *model, "--out", here)
    run("conformers", *smiles, *model, "--out", there, "--scheduler", "local:2")
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.slow
def test_evaluate(tmp_path: Path) -> None:
    tables = []
    for where in ([], ["--scheduler", "local:2"]):
        out = tmp_path / f"report{len(where)}"
        suites = ["--suites", "structure", "--molecules", "2"]
        run("evaluate", "emt", *suites, "--out", out, *where)
        tables.append(json.loads((out / "report.json").read_text()))
    assert tables[0] == tables[1]
    assert tables[0]["structure"]["emt"]["cases"] == 10


def test_nobody_answers(relaxing: list[str | Path], tmp_path: Path) -> None:
    arguments = [*relaxing, "--out", tmp_path / "out", "--scheduler", "nowhere"]
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert isinstance(result.exception, DataError)
    assert "no Dask scheduler answers at nowhere" in str(result.exception)


def test_processes_and_a_scheduler(structures: Path, tmp_path: Path) -> None:
    arguments = [
        "data", "label", str(structures), str(tmp_path / "out.h5"), "--calculator",
        "emt", "--processes", "2", "--scheduler", "local:2",
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, DataError)
    assert "give one of the two" in str(result.exception)
