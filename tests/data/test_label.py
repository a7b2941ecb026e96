"""Labelling: the same result however often it is interrupted."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ase_physml.calculators.names import make_calculator
from ase_physml.data.dataset import check
from ase_physml.data.frame import Frame
from ase_physml.data.label import label, less_at_rest, plan
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError, PotentialError
from ase_physml.jobs.failures import Failure

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


def test_charges_and_dipoles_are_kept(tmp_path: Path, plain: list[Frame]) -> None:
    out = tmp_path / "out.h5"
    label(plain, out, make_calculator, "toy_calculators:Charged", META)
    for found, frame in zip(check(out), plain, strict=True):
        x = frame.positions[:, 0]
        np.testing.assert_allclose(found.charges, x - x.mean(), atol=1e-12)
        dipole = (x - x.mean()) @ frame.positions
        np.testing.assert_allclose(found.dipole, dipole, atol=1e-12)


def test_the_spread_of_a_committee_is_kept(tmp_path: Path, plain: list[Frame]) -> None:
    out = tmp_path / "out.h5"
    label(plain, out, make_calculator, "toy_calculators:Doubtful", META)
    for found, frame in zip(check(out), plain, strict=True):
        largest = np.linalg.norm(frame.positions, axis=1).max()
        assert found.spread == pytest.approx(0.2 * largest)
        assert found.charges is not None


@pytest.mark.parametrize("equilibrium", [True, False])
def test_what_a_baseline_leaves_over(
    tmp_path: Path, plain: list[Frame], equilibrium: bool
) -> None:
    out = tmp_path / "out.h5"
    own = [replace(f, energy=float(k)) for k, f in enumerate(plain)]
    own[3] = replace(own[3], forces=np.ones((len(own[3].numbers), 3)))
    own[4] = replace(own[4], energy=None)
    given = Metadata("DFT", equilibrium=equilibrium)
    name = "toy_calculators:Spring"
    metadata, combine = plan(given, "set.h5", name, subtract=True)
    label(own, out, make_calculator, name, metadata, combine=combine)
    data = check(out)
    assert data.metadata.baseline == name
    assert data.metadata.level_of_theory == "DFT"
    assert data.metadata.equilibrium is False
    assert data.metadata.extra == ({"minima": True} if equilibrium else {})
    for k, (found, frame) in enumerate(zip(data, own, strict=True)):
        if k == 4:
            assert found.energy is None
        else:
            assert found.energy == pytest.approx(k - (frame.positions**2).sum())
        if k == 3:
            np.testing.assert_array_equal(found.forces, 1 + 2 * frame.positions)
        elif equilibrium:
            # Zero at rest, less the baseline's.
            np.testing.assert_array_equal(found.forces, 2 * frame.positions)
        else:
            assert found.forces is None


def test_held_atoms_leave_forces_unknown(tmp_path: Path, plain: list[Frame]) -> None:
    out = tmp_path / "out.h5"
    held = [replace(f, energy=0.0, fixed=np.ones(len(f.numbers), bool)) for f in plain]
    name = "toy_calculators:Spring"
    label(held, out, make_calculator, name, META, combine=less_at_rest)
    assert all(frame.forces is None for frame in check(out))


def test_stationary_points_need_not_be_minima() -> None:
    given = Metadata("DFT", equilibrium=True, extra={"minima": False, "note": "a"})
    metadata, combine = plan(given, "set.h5", "emt", subtract=True)
    assert metadata.extra == given.extra
    assert combine is less_at_rest


def test_one_baseline_is_enough() -> None:
    with pytest.raises(DataError, match="emt leaves over already"):
        plan(Metadata("DFT", baseline="emt"), "set.h5", "emt", subtract=True)


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
