"""Labelling: the same result however often it is interrupted."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ase_physml.calculators.byname import make_calculator
from ase_physml.data.frame import Frame
from ase_physml.data.label import Failure, label
from ase_physml.data.ragged import Metadata
from ase_physml.data.schema import check
from ase_physml.errors import DataError, PotentialError

META = Metadata("springs", equilibrium=False)


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)


@pytest.fixture
def plain(frames: list[Frame]) -> list[Frame]:
    """Frames of hydrogen and carbon without labels."""
    numbers = [np.where(f.numbers > 6, 6, f.numbers) for f in frames]
    return [
        replace(f, numbers=z, energy=None, forces=None)
        for f, z in zip(frames, numbers, strict=True)
    ]


def test_labels_are_the_calculators(tmp_path: Path, plain: list[Frame]) -> None:
    out = tmp_path / "out.h5"
    counts: list[int] = []
    name = "toy_calculators:Spring"
    report = label(plain, out, make_calculator, name, META, on_frames=counts.append)
    assert (report.labelled, report.resumed, report.failures) == (30, 0, [])
    assert sum(counts) == 30
    data = check(out)
    assert data.metadata == META
    for found, frame in zip(data, plain, strict=True):
        assert found.energy == (frame.positions**2).sum()
        np.testing.assert_array_equal(found.forces, -2 * frame.positions)
        assert found.name == frame.name
    assert list(tmp_path.iterdir()) == [out]


def test_what_fails_is_left_out_and_listed(tmp_path: Path, plain: list[Frame]) -> None:
    plain[3] = replace(plain[3], numbers=np.full(len(plain[3].numbers), 8))
    plain[5] = replace(plain[5], numbers=np.full(len(plain[5].numbers), 7))
    out = tmp_path / "out.h5"
    report = label(plain, out, make_calculator, "toy_calculators:Spring", META)
    assert report.labelled == 28
    assert report.failures == [
        Failure(3, "frame 3", "RuntimeError: no oxygen, please"),
        Failure(5, "frame 5", "the calculator returned NaN or infinity"),
    ]
    lines = (tmp_path / "out.h5.failures.csv").read_text().splitlines()
    assert lines[:2] == [
        "frame,name,reason",
        '3,frame 3,"RuntimeError: no oxygen, please"',
    ]
    assert [f.name for f in check(out)][2:5] == ["frame 2", "frame 4", "frame 6"]


def test_nothing_left_is_an_error(tmp_path: Path, plain: list[Frame]) -> None:
    oxygen = [replace(f, numbers=np.full(len(f.numbers), 8)) for f in plain]
    out = tmp_path / "out.h5"
    with pytest.raises(DataError, match=r"none of 30 frames .* no oxygen, please"):
        label(oxygen, out, make_calculator, "toy_calculators:Spring", META)
    assert not out.exists()


def test_an_interrupted_run_goes_on(tmp_path: Path, plain: list[Frame]) -> None:
    name = "toy_calculators:Drifting"
    whole, resumed = tmp_path / "whole.h5", tmp_path / "resumed.h5"
    label(plain, whole, make_calculator, name, META)

    def interrupt(count: int) -> None:
        seen.append(count)
        if len(seen) == 12:
            raise KeyboardInterrupt

    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        label(plain, resumed, make_calculator, name, META, on_frames=interrupt)
    assert not resumed.exists()
    report = label(plain, resumed, make_calculator, name, META)
    assert report.resumed == 11
    # Drifting would differ if results depended on what was computed before.
    assert resumed.read_bytes() == whole.read_bytes()


def test_processes_give_the_same(tmp_path: Path, plain: list[Frame]) -> None:
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    name = "toy_calculators:Drifting"
    label(plain, one, make_calculator, name, META)
    label(plain, two, make_calculator, name, META, processes=2)
    assert one.read_bytes() == two.read_bytes()


def test_workers_have_one_thread(
    tmp_path: Path, plain: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    out = tmp_path / "out.h5"
    name = "toy_calculators:Threads"
    label(plain[:3], out, make_calculator, name, META, processes=2)
    assert set(check(out).column("energy")) == {1.0}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_dead_worker_is_an_error(tmp_path: Path, plain: list[Frame]) -> None:
    out = tmp_path / "out.h5"
    name = "toy_calculators:Dying"
    with pytest.raises(DataError, match=r"a process died near frame .* run the same"):
        label(plain, out, make_calculator, name, META, processes=2)
    assert not out.exists()


def test_wrong_arguments(tmp_path: Path, plain: list[Frame]) -> None:
    out = tmp_path / "out.h5"
    with pytest.raises(DataError, match="0 processes"):
        label(plain, out, make_calculator, "emt", META, processes=0)
    with pytest.raises(DataError, match="only once"):
        label(iter(plain), out, make_calculator, "emt", META)
    with pytest.raises(PotentialError, match="nonsense"):
        label(plain, out, make_calculator, "nonsense:Calculator", META)
    with pytest.raises(DataError, match="no frames to write"):
        label([], out, make_calculator, "emt", META)
