"""Runs that are stopped, or find the disk full: what is kept, and what is refused."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.io import read, write
from ase.io.trajectory import TrajectoryWriter
from typer.testing import CliRunner, Result

from ase_physml.cli import app
from ase_physml.errors import DataError, WriteError
from ase_physml.evaluation import suite
from ase_physml.store.checkpoint import load_potentials, save_model
from ase_physml.workflows import image_files, prediction_tables, relax
from ase_physml.workflows.conformers import runs

NAMES = ("H2O", "CH4", "NH3")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def another(model: Path) -> None:
    """Other weights under the same name."""
    (network,), card = load_potentials(model)
    with torch.no_grad():
        network.element_bias += 0.1
    save_model(model, network, card)


def write_set(path: Path) -> Path:
    write(path, [molecule(name) for name in NAMES])
    return path


@pytest.fixture
def here(tiny_potential: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.pt").write_bytes(tiny_potential.read_bytes())
    write_set(tmp_path / "set.xyz")
    return tmp_path


RELAX = ("relax", "set.xyz", "--model", "tiny.pt", "--steps", "2", "--no-plot")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: another(Path("tiny.pt")), "potential was tiny.pt (sha256 "),
        (lambda: write("set.xyz", [molecule("CO2")] * 3), "structure was H2O ("),
        (lambda: ["--fmax", "0.5"], "fmax was 0.01, is 0.5"),
        (lambda: ["--optimizer", "FIRE"], "optimizer was BFGS, is FIRE"),
        (lambda: ["--dtype", "float32"], "dtype float64), is tiny.pt (dtype float32)"),
        (lambda: ["--steps", "5"], "steps was 2, is 5"),
    ],
)
def test_results_of_other_work_are_not_taken(
    here: Path, change: Callable[[], list[str] | None], said: str
) -> None:
    assert call(*RELAX, "--out", "out").exit_code == 0
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    more = change() or []
    done = call(*RELAX, "--out", "out", *more, "--resume", "--collect", "all.h5")
    assert isinstance(done.exception, DataError)
    assert said in str(done.exception) and "--overwrite" in str(done.exception)
    assert len(str(done.exception).splitlines()) == 1
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before
    assert not Path("all.h5").exists()


def test_overwriting_leaves_nothing_of_before(here: Path) -> None:
    assert call(*RELAX, "--out", "out").exit_code == 0
    another(Path("tiny.pt"))
    before = read("out/set-0.xyz").get_potential_energy()
    assert call(*RELAX, "--out", "out", "--overwrite").exit_code == 0
    assert read("out/set-0.xyz").get_potential_energy() != before
    assert call(*RELAX, "--out", "out", "--resume").exit_code == 0


def test_trajectories_of_before_identities_are_refused(here: Path) -> None:
    assert call(*RELAX, "--out", "out").exit_code == 0
    frames = read("out/set-1.traj", ":")
    write("out/set-1.traj", frames)
    done = call(*RELAX, "--out", "out", "--resume")
    assert "nothing says what they were made of" in str(done.exception)


def ends(here: Path) -> list[str]:
    reactant = molecule("CH3CH2OH")
    product = reactant.copy()
    product.rattle(0.1, seed=1)
    write(here / "r.xyz", reactant)
    write(here / "p.xyz", product)
    line = "neb r.xyz p.xyz --model tiny.pt --any-domain --images 4 --steps 2"
    return [*line.split(), "--no-relax-ends", "--out", "out"]


def test_paths_of_other_work_are_not_taken(here: Path) -> None:
    line = ends(here)
    call(*line)
    assert Path("out/r-p.traj").exists()
    first = read("out/r-p.traj", "1")
    again = call(*line, "--resume")
    assert not isinstance(again.exception, DataError)
    assert "--resume keeps what is done" in str(call(*line).exception)
    for more, said in (
        (["--images", "5"], "search.images was 4, is 5"),
        (["--fmax", "0.1"], "search.fmax was 0.05, is 0.1"),
    ):
        done = call(*line, "--resume", *more)
        assert said in str(done.exception)
    another(Path("tiny.pt"))
    assert "potential was tiny.pt" in str(call(*line, "--resume").exception)
    assert len(first) == 9


def test_evaluations_of_other_work_are_not_taken(here: Path) -> None:
    line = ["evaluate", "tiny.pt", "--suites", "structure", "--molecules", "1"]
    assert call(*line, "--out", "out").exit_code == 0
    assert "--resume keeps" in str(call(*line, "--out", "out").exception)
    assert call(*line, "--out", "out", "--resume").exit_code == 0
    another(Path("tiny.pt"))
    done = call(*line, "--out", "out", "--resume")
    assert "calculator was tiny.pt (sha256" in str(done.exception)
    assert call(*line, "--out", "out", "--overwrite").exit_code == 0


LABEL = ("data", "label", "set.xyz", "out.h5", "--calculator", "tiny.pt")


def test_labels_of_another_potential_of_the_name(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ase_physml.calculators.names import level_of
    from ase_physml.data import label as module
    from ase_physml.data.dataset import RaggedSet

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.RaggedWriter, "extend", dies)
        stopped = call(*LABEL)
    assert stopped.exit_code == 130
    assert "stopped by Ctrl-C: finished results are kept" in stopped.stderr
    another(Path("tiny.pt"))
    done = call(*LABEL)
    assert "calculator was tiny.pt (sha256" in str(done.exception)
    assert call(*LABEL, "--overwrite").exit_code == 0
    # Its labels are of its level, and mix with a set of the reference.
    assert RaggedSet("out.h5").metadata.level_of_theory == level_of("tiny.pt")
    energies = [frame.get_potential_energy() for frame in _labelled("out.h5")]
    from ase_physml.calculators.physml import PhysMLCalculator

    for name, energy in zip(NAMES, energies, strict=True):
        atoms = molecule(name)
        atoms.calc = PhysMLCalculator("tiny.pt")
        assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)


def _labelled(path: str) -> list[Any]:
    from ase_physml.data.conversion import to_atoms
    from ase_physml.data.dataset import RaggedSet

    data = RaggedSet(path)
    return [to_atoms(data[k]) for k in range(len(data))]


def test_conformers_of_another_model_of_the_name(
    tiny_conformations: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("c.pt").write_bytes(tiny_conformations.read_bytes())
    line = ["conformers", "OCCO", "CCN", "-n", "1", "--model", "c.pt", "-o", "o.sdf"]

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "join_libraries", dies)
        assert call(*line).exit_code == 130
    content = bytearray(Path("c.pt").read_bytes())
    Path("c.pt").write_bytes(bytes(content))  # the same: it is no matter when
    other = call(*line, "--relax", "tiny.pt")
    assert "relax was null, is tiny.pt" in str(other.exception)
    assert call(*line).exit_code == 0


STOPS = """
import os, signal, sys
from ase_physml.workflows import relax
original = relax.write_final
name = getattr(signal, sys.argv.pop())
# Ignored from the start where a shell runs the tests in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
def stop(done, stem):
    original(done, stem)
    os.kill(os.getpid(), name)
relax.write_final = stop
from ase_physml.cli import main
main()
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_says_what_is_kept(here: Path, name: str, code: int) -> None:
    line = [*RELAX, "--batch-size", "1", "--out", "out", name]
    done = subprocess.run(
        [sys.executable, "-c", STOPS, *line], capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    by = {"SIGTERM": "SIGTERM", "SIGINT": "Ctrl-C"}[name]
    last = done.stderr.splitlines()[-1]
    assert last == (
        f"stopped by {by}: finished structures are kept in out/; go on with --resume"
    )
    assert [path.name for path in Path("out").glob("*.xyz")] == ["set-0.xyz"]
    kept = Path("out/set-0.xyz").stat().st_mtime_ns
    # Also without --resume: it is the same work.
    again = call(*RELAX, "--out", "out")
    assert again.exit_code == 0, again.output
    assert Path("out/set-0.xyz").stat().st_mtime_ns == kept
    assert not list(Path("out").glob("*.part")) and not Path("out/.lock").exists()


def test_processes_end_with_a_run_that_is_stopped(here: Path) -> None:
    (here / "slow.py").write_text(
        "import time\nfrom ase.calculators.emt import EMT\n"
        "class Slow(EMT):\n"
        "    def calculate(self, *args):\n"
        "        open('begun', 'w').close()\n"
        "        time.sleep(600)\n"
    )
    line = ["data", "label", "set.xyz", "out.h5", "--calculator", "slow:Slow"]
    running = subprocess.Popen(
        [sys.executable, "-m", "ase_physml.cli", *line, "--processes", "2"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not Path("begun").exists() and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 143, said
    assert "stopped by SIGTERM: finished results are kept in out.h5.partial" in said


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_relax_on_a_full_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = TrajectoryWriter.write
    written: list[int] = []

    def fills(self: TrajectoryWriter, *arguments: Any, **named: Any) -> None:
        written.append(1)
        if len(written) > 4:
            full()
        original(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(TrajectoryWriter, "write", fills)
        done = call(*RELAX, "--batch-size", "1", "--out", "out")
    assert isinstance(done.exception, WriteError)
    assert "No space left" in str(done.exception)
    assert "finished results are kept: make room, and go on" in str(done.exception)
    assert [path.name for path in Path("out").glob("*.xyz")] == ["set-0.xyz"]
    again = call(*RELAX, "--out", "out", "--resume")
    assert again.exit_code == 0, again.output
    energies = [read(f"out/set-{k}.xyz").get_potential_energy() for k in range(3)]
    assert call(*RELAX, "--out", "whole").exit_code == 0
    whole = [read(f"whole/set-{k}.xyz").get_potential_energy() for k in range(3)]
    np.testing.assert_allclose(energies, whole, atol=1e-8)


@pytest.mark.parametrize(
    ("patched", "line"),
    [
        ((relax, "write_xyz"), RELAX),
        ((image_files.TrajectoryWriter, "write"), ()),
        ((suite, "_append"), ("evaluate", "emt", "--suites", "structure")),
    ],
)
def test_folders_on_a_full_disk(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    patched: tuple[object, str],
    line: tuple[str, ...],
) -> None:
    line = (*line, "--out", "out") if line else tuple(ends(here))
    monkeypatch.setattr(*patched, full)
    done = call(*line)
    assert isinstance(done.exception, WriteError), done.output
    assert "No space left" in str(done.exception)


@pytest.mark.parametrize(
    ("patched", "line"),
    [
        ((runs, "write_conformers"), ["conformers", "O"]),
        ((prediction_tables.np, "save"), ["predict", "logs.pt", "in.smi"]),
    ],
)
def test_files_on_a_full_disk(
    here: Path,
    tiny_conformations: Path,
    monkeypatch: pytest.MonkeyPatch,
    patched: tuple[object, str],
    line: list[str],
) -> None:
    if line[0] == "conformers":
        line = [*line, "--model", str(tiny_conformations), "-n", "1"]
    else:
        _properties(Path("logs.pt"))
        Path("in.smi").write_text("O\nCO\n")
    with monkeypatch.context() as patch:
        patch.setattr(*patched, full)
        done = call(*line, "-o", "out.sdf")
    assert isinstance(done.exception, WriteError), done.output
    assert "No space left" in str(done.exception)
    assert call(*line, "-o", "out.sdf").exit_code == 0
    assert not Path("out.sdf.partial").exists()


def _properties(path: Path) -> None:
    from ase_physml.models.physchem.config import PhysChemConfig
    from ase_physml.models.physchem.model import PhysChem
    from ase_physml.store.card import ModelCard
    from ase_physml.store.checkpoint import save_model

    config = PhysChemConfig(atom_width=8, bond_width=8, molecule_width=8, targets=1)
    card = ModelCard(
        name="logs",
        kind="physchem",
        architecture=config.to_dict(),
        target_names=["logS"],
    )
    save_model(path, PhysChem(config), card)
