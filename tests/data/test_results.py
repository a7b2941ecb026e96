"""Labels in records of a journal, and what tells one structure from another."""

from dataclasses import replace

import numpy as np
import pytest

from ase_physml.data.frame import Evaluation, Frame
from ase_physml.data.results import checksum, pack_result, unpack_result

FORCES = np.arange(9.0).reshape(3, 3)
CHARGES, DIPOLE = np.array([0.5, 0.25, -0.75]), np.array([0.1, 0.2, 0.3])
STRESS = np.arange(9.0).reshape(3, 3)


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"spread": 0.25},
        {"charges": CHARGES, "dipole": DIPOLE},
        {"charges": CHARGES, "dipole": DIPOLE, "spread": 0.25},
        {"stress": STRESS, "spread": 0.5},
    ],
)
def test_labels_come_back(labels: dict[str, np.ndarray | float]) -> None:
    given = Evaluation(-1.5, FORCES, **labels)
    found = unpack_result(*pack_result(given))
    assert isinstance(found, Evaluation)
    for value, expected in zip(found, given, strict=True):
        assert (value is None) == (expected is None)
        if value is not None:
            np.testing.assert_array_equal(value, expected)
            assert np.shape(value) == np.shape(expected)


def test_failures_come_back() -> None:
    said = "it did not converge: é"
    assert unpack_result(*pack_result(said)) == said


@pytest.mark.parametrize(
    ("kind", "charges", "spread"),
    [(1, False, False), (2, True, False), (3, False, True), (4, True, True)],
)
def test_records_of_earlier_versions_are_read(
    kind: int, charges: bool, spread: bool
) -> None:
    """Energy, forces, charges and dipole, spread, as plain numbers."""
    values = [1.0, *range(9), *(range(10, 16) if charges else ()), *([0.25] * spread)]
    found = unpack_result(kind, np.array(values, dtype="<f8").tobytes())
    assert isinstance(found, Evaluation)
    assert found.energy == 1.0
    np.testing.assert_array_equal(found.forces, FORCES)
    assert found.spread == (0.25 if spread else None)
    assert (found.charges is not None) == charges
    if found.charges is not None and found.dipole is not None:
        assert found.charges.tolist() == [10, 11, 12]
        assert found.dipole.tolist() == [13, 14, 15]


def test_structures_have_checksums(frames: list[Frame]) -> None:
    frame = frames[2]
    assert checksum(frame) == checksum(replace(frame, energy=None, name="other"))
    moved = replace(frame, positions=frame.positions + 1e-12)
    cell = replace(frame, cell=5 * np.eye(3), pbc=np.ones(3, dtype=bool))
    marks = {checksum(one) for one in (frame, moved, cell, frames[3])}
    assert len(marks) == 4 and all(0 <= mark < 2**32 for mark in marks)
