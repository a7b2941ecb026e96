"""`physml data import | info | label | split`, as typed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from ase_physml.cli.data import app
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.errors import DataError

TOYS = Path(__file__).parents[1] / "data"


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def images(tmp_path: Path) -> Path:
    frames: list[Atoms] = []
    for seed in range(40):
        atoms = molecule(["CH4", "C2H6", "C2H4"][seed % 3])
        atoms.rattle(0.05, seed=seed)
        atoms.calc = SinglePointCalculator(atoms, energy=-float(seed), forces=None)
        frames.append(atoms)
    path = tmp_path / "images.xyz"
    ase.io.write(path, frames)
    return path


def test_import_and_info(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    text = run("import", images, out, "--precision", "f4", "--equilibrium")
    assert "out.h5: 40 frames" in text
    assert "40 with 'energy'" in text
    assert "level of theory not stated" in text
    data = RaggedSet(out)
    assert data.metadata.equilibrium is True
    assert data.column("positions").dtype == np.float32
    rows = dict(line.split(None, 1) for line in run("info", out).splitlines())
    assert rows["frames"].split()[0] == "40"
    assert rows["atoms"].startswith("5 to 8")
    assert rows["elements"].strip() == "H 186, C 66"
    assert rows["equilibrium"].strip() == "yes"


def test_import_options(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    words = ("--level-of-theory", "PBE", "--energy-unit", "kcal/mol", "--limit", 5)
    text = run("import", images, out, *words)
    assert "not stated" not in text
    data = RaggedSet(out)
    assert data.metadata.level_of_theory == "PBE"
    np.testing.assert_allclose(data.column("energy"), -np.arange(5) * 0.0433641, 1e-5)


def test_an_existing_file_is_kept(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_text("precious")
    for words in (("import", images, out), ("label", images, out)):
        with pytest.raises(DataError, match="exists; choose another name"):
            run(*words, *(["--calculator", "emt"] if words[0] == "label" else []))
    assert out.read_text() == "precious"
    run("import", images, out, "--overwrite")
    assert len(RaggedSet(out)) == 40


def test_info_checks(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    run("import", images, out)
    with h5py.File(out, "a") as file:
        file["atomic_numbers"][7] = 0
    with pytest.raises(DataError, match="atomic_numbers has 0 in frame 1"):
        run("info", out)


def test_label(images: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "out.h5", tmp_path / "again.h5"
    text = run("label", images, out, "--calculator", "emt")
    assert "40 frames labelled" in text
    data = RaggedSet(out)
    assert data.metadata.level_of_theory == "emt"
    assert data.metadata.equilibrium is False
    assert data.metadata.source == "images.xyz, labelled with emt"
    # A set of our own is as good an input as any.
    run("label", out, again, "--calculator", "emt", "--level-of-theory", "EMT (ASE)")
    np.testing.assert_array_equal(
        RaggedSet(again).column("forces"), data.column("forces")
    )
    assert RaggedSet(again).metadata.level_of_theory == "EMT (ASE)"


def test_label_tells_what_failed(tmp_path: Path) -> None:
    path, out = tmp_path / "two.xyz", tmp_path / "out.h5"
    ase.io.write(path, [molecule("CH4"), molecule("PH3"), molecule("SiH4")])
    text = run("label", path, out, "--calculator", "emt")
    assert "2 frames labelled" in text or "1 frames labelled" in text
    assert "frame 2 left out: NotImplementedError: No EMT-potential" in text
    assert "out.h5.failures.csv" in text


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_label_survives_a_kill(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "toy_calculators:Drifting"
    out, whole = tmp_path / "out.h5", tmp_path / "whole.h5"
    words = ("label", images, out, "--calculator", name)
    command = "from ase_physml.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "data", *map(str, words), "--processes", "2"],
        cwd=TOYS,
        env={**os.environ, "TOY_DELAY": "0.1"},
        stderr=subprocess.DEVNULL,
    )
    results = tmp_path / "out.h5.partial" / "results"
    _wait(lambda: results.exists() and results.stat().st_size > 1000, 300)
    workers = _children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    # Workers do not outlive the command.
    _wait(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in workers), 120)
    monkeypatch.syspath_prepend(TOYS)
    text = run(*words)
    assert "results were there from an earlier run" in text
    run("label", images, whole, "--calculator", name)
    assert out.read_bytes() == whole.read_bytes()
    assert not results.parent.exists()


def test_split_is_stored_by_index(images: Path, tmp_path: Path) -> None:
    run("import", images, tmp_path / "set.h5")
    out = tmp_path / "split.json"
    text = run("split", tmp_path / "set.h5", out, "--val", 0.1, "--test", 0.2)
    assert "28 for training, 4 for validation, 8 for the test" in text
    drawn = Split.load(out)
    assert sorted([*drawn.train, *drawn.val, *drawn.test]) == list(range(40))
    with pytest.raises(DataError, match="--overwrite"):
        run("split", tmp_path / "set.h5", out)


def test_split_by_a_column_keeps_groups_together(images: Path, tmp_path: Path) -> None:
    frames = ase.io.read(images, ":")
    for index, atoms in enumerate(frames):
        atoms.info["name"] = f"reaction {index // 4}"
    ase.io.write(images, frames)
    run("import", images, tmp_path / "set.h5")
    out = tmp_path / "split.json"
    run("split", tmp_path / "set.h5", out, "--val", 0.2, "--test", 0.2, "--by", "name")
    drawn = Split.load(out)
    groups = [set(part // 4) for part in (drawn.train, drawn.val, drawn.test)]
    assert [len(group) for group in groups] == [6, 2, 2]
    assert not groups[0] & groups[1]
    assert not groups[1] & groups[2]
    with pytest.raises(DataError, match="no smiles"):
        run("split", tmp_path / "set.h5", tmp_path / "other.json", "--by", "smiles")
