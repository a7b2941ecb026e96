"""Superposition by the best proper rotation; ends of a path, face to face."""

import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from ase_physml.errors import StructureError
from ase_physml.workflows.alignment import (
    align_ends,
    mean_displacement,
    rmsd,
    superpose,
)
from ase_physml.workflows.paths.interpolation import check_path

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


def test_product_is_turned_onto_the_reactant() -> None:
    reactant = molecule("CH3CH2OH")
    product = reactant.copy()
    product.rotate(130, (1, 2, 3))
    product.translate([3, -4, 5])
    before = product.positions.copy()
    aligned = align_ends(reactant, product)
    np.testing.assert_allclose(aligned.positions, reactant.positions, atol=1e-9)
    np.testing.assert_array_equal(product.positions, before)


def test_other_molecules_and_orders_are_named() -> None:
    with pytest.raises(StructureError, match="different molecules: CH4 and H3N"):
        align_ends(molecule("CH4"), molecule("NH3"))
    ethanol = molecule("CH3CH2OH")
    with pytest.raises(StructureError, match=r"atom 0 is C in one and H .*--match"):
        align_ends(ethanol, ethanol[::-1])


@pytest.mark.parametrize("seed", range(5))
def test_matching_finds_the_order(seed: int) -> None:
    reactant = molecule("CH3CONH2")
    rng = np.random.default_rng(seed)
    product = reactant[rng.permutation(len(reactant))]
    product.positions += 0.05 * rng.normal(size=product.positions.shape)
    product.rotate(100 * seed, (1, 1, 0))
    aligned = align_ends(reactant, product, match=True)
    assert list(aligned.numbers) == list(reactant.numbers)
    moved = np.linalg.norm(aligned.positions - reactant.positions, axis=1)
    assert moved.max() < 0.3


def test_colliding_atoms_are_named() -> None:
    fine = Atoms("CO", [[0, 0, 0], [0, 0, 1.1]])
    squeezed = Atoms("CO", [[0, 0, 0], [0, 0, 0.2]])
    check_path([fine, fine])
    with pytest.raises(
        StructureError, match=r"0 \(C\) and 1 \(O\) .* 0.20 Å .*image 1"
    ):
        check_path([fine, squeezed])
