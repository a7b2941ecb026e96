"""Second derivatives in batches."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms, FixBondLength
from surfaces import Quadratic

from ase_physml import PhysMLCalculator
from ase_physml.errors import PotentialError, StructureError
from ase_physml.workflows.alignment import n_rotations
from ase_physml.workflows.vibrations.hessian import (
    Hessian,
    hessians,
    inner_basis,
    rigid_motions,
)


def symmetric(size: int, seed: int = 0) -> np.ndarray:
    matrix = np.random.default_rng(seed).normal(size=(size, size))
    return np.asarray(matrix + matrix.T)


def test_that_of_a_quadratic_surface_is_its_matrix() -> None:
    water = molecule("H2O")
    matrix = symmetric(9)
    surface = Quadratic(water.positions.copy(), matrix)
    (found,) = hessians(water, surface)
    assert isinstance(found, Hessian)
    np.testing.assert_allclose(found.matrix, matrix, atol=1e-9)
    # By x, y and z of each atom, of charges +1, -1, +1.
    charges = np.repeat([1.0, -1.0, 1.0], 3)
    expected = charges[:, None] * np.tile(np.eye(3), (3, 1))
    np.testing.assert_allclose(found.dipoles, expected, atol=1e-9)
    # All in one batch: the structure and both sides of nine coordinates.
    assert surface.batches == [19]


def test_atoms_that_are_held_have_no_rows() -> None:
    water = molecule("H2O")
    matrix = symmetric(9)
    water.set_constraint(FixAtoms([1]))
    (found,) = hessians(water, Quadratic(water.positions.copy(), matrix))
    assert isinstance(found, Hessian)
    rows = [0, 1, 2, 6, 7, 8]
    np.testing.assert_allclose(found.matrix, matrix[np.ix_(rows, rows)], atol=1e-9)
    assert inner_basis(water, found.free, found.masses).shape == (6, 6)


def test_it_stays_with_its_geometry() -> None:
    water = molecule("H2O")
    surface = Quadratic(water.positions + 0.1, symmetric(9))
    before = water.positions.copy()
    (found,) = hessians(water, surface)
    assert isinstance(found, Hessian)
    water.positions += 1.0
    np.testing.assert_array_equal(found.atoms.positions, before)
    assert found.energy == found.atoms.get_potential_energy()
    np.testing.assert_array_equal(found.forces, found.atoms.get_forces())


def test_molecules_of_a_potential_are_one_batch(tiny_potential: Path) -> None:
    calculator = PhysMLCalculator(tiny_potential, device="cpu")
    found = hessians([molecule("H2O"), molecule("SiH4"), molecule("CH4")], calculator)
    assert isinstance(found[0], Hessian) and isinstance(found[2], Hessian)
    assert isinstance(found[1], StructureError) and "Si" in str(found[1])
    before = calculator.evaluations
    again = hessians([molecule("H2O"), molecule("CH4")], calculator)
    assert calculator.evaluations == before + 1
    assert isinstance(again[1], Hessian)
    np.testing.assert_allclose(again[1].matrix, found[2].matrix, atol=1e-6)
    # Neither shifting nor turning a molecule takes a force.
    ones = np.ones(15)
    rigid = rigid_motions(molecule("CH4"), again[1].free, ones)[:, :3]
    assert np.abs(again[1].matrix @ rigid).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "rotations"), [("H2O", 3), ("CO2", 2), ("H2", 2), ("O", 0)]
)
def test_motions_that_are_none(name: str, rotations: int) -> None:
    atoms = Atoms("O") if name == "O" else molecule(name)
    assert n_rotations(atoms) == rotations
    free, masses = np.arange(len(atoms)), np.repeat(atoms.get_masses(), 3)
    rigid = rigid_motions(atoms, free, masses)
    assert rigid.shape == (3 * len(atoms), 3 + rotations)
    np.testing.assert_allclose(rigid.T @ rigid, np.eye(3 + rotations), atol=1e-9)
    inner = inner_basis(atoms, free, masses)
    np.testing.assert_allclose(inner.T @ rigid, 0.0, atol=1e-9)


def test_refusals() -> None:
    water = molecule("H2O")
    water.set_constraint(FixBondLength(0, 1))
    surface = Quadratic(water.positions, symmetric(9))
    (found,) = hessians(water, surface)
    assert isinstance(found, StructureError) and "FixBondLength" in str(found)
    water.set_constraint(FixAtoms([0, 1, 2]))
    (found,) = hessians(water, surface)
    assert isinstance(found, StructureError) and "every atom" in str(found)
    with pytest.raises(StructureError, match="step"):
        hessians(water, surface, step=0.0)
    with pytest.raises(PotentialError, match="no calculator"):
        hessians(water, None)
