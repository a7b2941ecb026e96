"""The study of fine-tuning: frames of one molecule, rows, and what was measured."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT

from ase_physml.data.conversion import from_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.index_split import Split
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write

STUDY = "fine_tuning/study.py"


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """As rMD17 names them: 940 of water, some of carbon monoxide."""
    path = tmp_path / "given.h5"
    write(path, [_frame(k) for k in range(1000)], Metadata(equilibrium=False))
    return path


def _frame(seed: int) -> Frame:
    name = "water" if seed % 50 < 47 else "CO"
    atoms = molecule("H2O" if name == "water" else "CO")
    atoms.rattle(0.05, seed=seed)
    atoms.calc = EMT()
    atoms.get_forces()
    atoms.info["name"] = f"{name}/{seed}"
    return from_atoms(atoms)


def test_a_molecule_that_is_not_there_is_named(
    script: Callable[..., str], frames: Path, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="0 frames of aspirin; has CO, water"):
        script(STUDY, frames, "aspirin", "--out", tmp_path / "out")


@pytest.mark.slow
def test_a_row_is_trained_and_measured_on_frames_that_it_has_not_seen(
    script: Callable[..., str], frames: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    short = ("stages.0.steps=40", "steps_per_epoch=20", "stages.0.warmup=5")
    small = ("model.width=16", "model.depth=1", "model.heads=2", "validate=20")
    options = ("--rows", "64x3", "--results", tmp_path, "--set", *short, *small)
    script(STUDY, frames, "water", "--out", out, *options)
    found = json.loads((tmp_path / "water.json").read_text())["64x3"]
    split = Split.load(out / "split.json")
    assert found["frames"] == len(split.test) == 40
    assert len(split.train) == 800
    assert len(np.intersect1d(split.train, split.test)) == 0
    assert {len(f.numbers) for f in RaggedSet(out / "frames.h5")} == {3}
    assert 0.0 < found["mae_force_eV_per_A"] < 5.0
    # What is measured is not done again.
    stamp = (out / "64x3" / "row.pt").stat().st_mtime_ns
    script(STUDY, frames, "water", "--out", out, *options)
    assert (out / "64x3" / "row.pt").stat().st_mtime_ns == stamp
