"""The best proper rotation, of structures that have one and of those that have many."""

import warnings

import numpy as np
import pytest
from ase.build import molecule
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from ase_physml.workflows.geometry import mean_displacement, rmsd, superpose

TURN = Rotation.from_rotvec([0.4, -1.9, 0.7])
CHIRAL = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1.5, 0], [0, 0, 2], [-1, -1, 0.5]])


@pytest.mark.parametrize(
    "positions",
    [
        CHIRAL,
        molecule("C6H6").positions,  # planar
        molecule("CO2").positions,  # linear
        molecule("HCl").positions,
        np.array([[1.0, 2, 3]]),
        np.ones((3, 3)),
    ],
    ids=["chiral", "planar", "linear", "two atoms", "one atom", "one place"],
)
def test_a_turned_structure_is_the_same(positions: np.ndarray) -> None:
    moved = TURN.apply(positions) + np.array([3.0, -1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        placed = superpose(moved, positions)
    np.testing.assert_allclose(placed, positions, atol=1e-12)
    assert rmsd(moved, positions) < 1e-12


def test_no_rotation_is_better() -> None:
    random = np.random.default_rng(3)
    reference = CHIRAL + 0.3 * random.normal(size=CHIRAL.shape)

    def apart(vector: np.ndarray) -> float:
        centred = CHIRAL - CHIRAL.mean(axis=0)
        turned = Rotation.from_rotvec(vector).apply(centred) + reference.mean(axis=0)
        return float(((turned - reference) ** 2).sum())

    least = min(minimize(apart, start).fun for start in 2 * random.normal(size=(4, 3)))
    assert rmsd(CHIRAL, reference) == pytest.approx(np.sqrt(least / 5), rel=1e-6)
    apart_each = np.linalg.norm(superpose(CHIRAL, reference) - reference, axis=1)
    assert mean_displacement(CHIRAL, reference) == pytest.approx(apart_each.mean())


def test_a_mirror_image_stays_one() -> None:
    placed = superpose(-CHIRAL, CHIRAL)
    assert rmsd(-CHIRAL, CHIRAL) > 0.3
    handed = [np.linalg.det(each[1:4] - each[0]) for each in (CHIRAL, placed)]
    assert handed[0] * handed[1] < 0


def test_some_atoms_meet_and_the_others_come_along() -> None:
    moved = TURN.apply(CHIRAL) + 5.0
    moved[4] += 1.0
    placed = superpose(moved, CHIRAL, np.arange(4))
    np.testing.assert_allclose(placed[:4], CHIRAL[:4], atol=1e-12)
    off = np.linalg.norm(placed[4] - CHIRAL[4])
    assert off == pytest.approx(np.sqrt(3.0))
    one = superpose(moved, CHIRAL, np.array([2]))
    np.testing.assert_allclose(one[2], CHIRAL[2], atol=1e-12)
