"""The journal survives whatever cuts it short."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ase_physml.data.frame import Evaluation, Frame
from ase_physml.data.journal import Journal
from ase_physml.errors import DataError
from ase_physml.jobs.identity import Identity

JOB = Identity.of("label", 1, calculator="emt")


@pytest.fixture
def folder(tmp_path: Path, frames: list[Frame]) -> Path:
    folder = tmp_path / "out.h5.partial"
    with Journal(folder, JOB) as journal:
        for index in (4, 0, 2):
            frame = frames[index]
            journal.add(index, frame, Evaluation(float(index), frame.positions))
        journal.add(7, frames[7], "it did not converge: é")
    return folder


def test_results_come_back(folder: Path, frames: list[Frame]) -> None:
    with Journal(folder, JOB) as journal:
        assert journal.count == 4
        assert [i for i in range(30) if journal.has(i, frames[i])] == [0, 2, 4, 7]
        found = journal.get(4)
        assert isinstance(found, Evaluation)
        assert found.energy == 4.0
        np.testing.assert_array_equal(found.forces, frames[4].positions)
        assert found.charges is None
        assert found.dipole is None
        assert journal.get(7) == "it did not converge: é"


@pytest.mark.parametrize("spread", [None, 0.25])
def test_charges_and_dipoles_come_back(
    folder: Path, frames: list[Frame], spread: float | None
) -> None:
    forces = frames[9].positions
    charges, dipole = forces[:, 0], np.array([0.1, 0.2, 0.3])
    with Journal(folder, JOB) as journal:
        journal.add(9, frames[9], Evaluation(1.0, forces, charges, dipole, spread))
        journal.add(10, frames[10], Evaluation(2.0, forces, spread=spread))
    with Journal(folder, JOB) as journal:
        found = journal.get(9)
    assert isinstance(found, Evaluation)
    np.testing.assert_array_equal(found.forces, forces)
    np.testing.assert_array_equal(found.charges, charges)
    np.testing.assert_array_equal(found.dipole, dipole)
    with Journal(folder, JOB) as journal:
        plain = journal.get(10)
    assert isinstance(plain, Evaluation)
    np.testing.assert_array_equal(plain.forces, forces)
    assert (found.spread, plain.spread, plain.charges) == (spread, spread, None)


def test_stress_comes_back(folder: Path, frames: list[Frame]) -> None:
    forces, stress = frames[9].positions, np.arange(9.0).reshape(3, 3)
    with Journal(folder, JOB) as journal:
        journal.add(9, frames[9], Evaluation(1.0, forces, stress=stress, spread=0.5))
    with Journal(folder, JOB) as journal:
        found = journal.get(9)
    assert isinstance(found, Evaluation)
    np.testing.assert_array_equal(found.stress, stress)
    np.testing.assert_array_equal(found.forces, forces)
    assert (found.charges, found.dipole, found.spread) == (None, None, 0.5)


@pytest.mark.parametrize(
    ("kind", "charges", "spread"),
    [(1, False, False), (2, True, False), (3, False, True), (4, True, True)],
)
def test_records_of_earlier_versions_are_read(
    folder: Path, kind: int, charges: bool, spread: bool
) -> None:
    """Energy, forces, charges and dipole, spread, as plain numbers."""
    values = [1.0, *range(9), *(range(10, 16) if charges else ()), *([0.25] * spread)]
    payload = np.array(values, dtype="<f8").tobytes()
    record = struct.pack("<QIBI", 20, 0, kind, len(payload)) + payload
    with (folder / "results").open("ab") as file:
        file.write(record + struct.pack("<I", zlib.crc32(record)))
    with Journal(folder, JOB) as journal:
        found = journal.get(20)
    assert isinstance(found, Evaluation)
    assert found.energy == 1.0
    np.testing.assert_array_equal(found.forces, np.arange(9.0).reshape(3, 3))
    assert found.spread == (0.25 if spread else None)
    assert (found.charges is not None) == charges
    if found.charges is not None:
        assert found.charges.tolist() == [10, 11, 12]
        assert found.dipole.tolist() == [13, 14, 15]


@pytest.mark.parametrize("cut", [1, 3, 20, 30, 40])
def test_a_torn_record_is_dropped(folder: Path, frames: list[Frame], cut: int) -> None:
    path = folder / "results"
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(folder, JOB) as journal:
        assert journal.count == 3
        assert not journal.has(7, frames[7])
        journal.add(7, frames[7], Evaluation(1.0, frames[7].positions))
        journal.add(9, frames[9], Evaluation(2.0, frames[9].positions))
    with Journal(folder, JOB) as journal:
        assert journal.count == 5
        assert journal.get(7)[0] == 1.0
        assert journal.get(0)[0] == 0.0


def test_a_flipped_bit_is_noticed(folder: Path, frames: list[Frame]) -> None:
    path = folder / "results"
    content = bytearray(path.read_bytes())
    content[25] ^= 1
    path.write_bytes(content)
    with Journal(folder, JOB) as journal:
        assert journal.count == 0


def test_another_job_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"calculator was emt, is lj.*start over"):
        Journal(folder, Identity.of("label", 1, calculator="lj"))


def test_a_journal_that_says_not_whose_it_is(folder: Path) -> None:
    # As versions before this one wrote it.
    (folder / "job.json").write_text('{"calculator": "emt"}')
    with pytest.raises(DataError, match=r"nothing says what.*start over with --ov"):
        Journal(folder, JOB)
    with Journal(folder, JOB, afresh=True) as journal:
        assert journal.count == 0


def test_another_cell_is_another_structure(folder: Path, frames: list[Frame]) -> None:
    other = replace(frames[2], cell=5 * np.eye(3), pbc=np.ones(3, dtype=bool))
    with Journal(folder, JOB) as journal:
        assert journal.has(2, frames[2])
        with pytest.raises(DataError, match="frame 2 of the input is not what it was"):
            journal.has(2, other)


def test_other_structures_are_refused(folder: Path, frames: list[Frame]) -> None:
    with (
        Journal(folder, JOB) as journal,
        pytest.raises(DataError, match="frame 2 of the input is not what it was"),
    ):
        journal.has(2, frames[3])


def test_two_at_once_are_refused(folder: Path) -> None:
    with (
        Journal(folder, JOB),
        pytest.raises(DataError, match="another process is working"),
    ):
        Journal(folder, JOB)


def test_removal(folder: Path) -> None:
    with Journal(folder, JOB) as journal:
        journal.remove()
    assert not folder.exists()
