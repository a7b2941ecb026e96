"""Ends of a path: same atoms, same order, face to face."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from ase_physml.errors import StructureError
from ase_physml.workflows.ends import align_ends, check_path


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
