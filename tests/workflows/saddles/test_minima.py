"""What counts as one minimum."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from ase_physml.workflows.saddles.minima import distance, is_same, name_of


def turned_methyl(angle: float) -> Atoms:
    """Acetaldehyde whose methyl group has turned about its bond, in degrees."""
    atoms = molecule("CH3CHO")
    methyl = max(
        (k for k, one in enumerate(atoms.numbers) if one == 6),
        key=lambda k: sum(
            atoms.get_distance(k, h) < 1.2 for h in np.flatnonzero(atoms.numbers == 1)
        ),
    )
    other = next(k for k in np.flatnonzero(atoms.numbers == 6) if k != methyl)
    own = [
        h
        for h in np.flatnonzero(atoms.numbers == 1)
        if atoms.get_distance(methyl, h) < 1.2
    ]
    axis = atoms.positions[methyl] - atoms.positions[other]
    part = atoms[own]
    part.rotate(angle, axis, center=atoms.positions[methyl])
    atoms.positions[own] = part.positions
    return atoms


def test_a_methyl_group_that_turned_by_a_third_is_the_same() -> None:
    start, third = turned_methyl(0.0), turned_methyl(120.0)
    assert not is_same(start, third) and is_same(start, third, turned=True)
    assert distance(start, third) > 0.3
    assert distance(start, third, turned=True) == pytest.approx(0.0, abs=0.05)
    # By a sixth it is another conformer.
    assert not is_same(start, turned_methyl(60.0), turned=True)


def test_two_exchanged_hydrogens_are_a_mirror_image() -> None:
    start = turned_methyl(0.0)
    third = turned_methyl(120.0)
    moved = np.linalg.norm(start.positions - third.positions, axis=1) > 0.5
    first, second = np.flatnonzero(moved)[:2]
    swapped = start.copy()
    swapped.positions[[first, second]] = swapped.positions[[second, first]]
    assert distance(start, swapped, turned=True) > 0.2


def test_labelled_methyl_groups_do_not_turn() -> None:
    start, third = turned_methyl(0.0), turned_methyl(120.0)
    for atoms in (start, third):
        masses = atoms.get_masses()
        masses[len(atoms) - 1] = 2.014
        atoms.set_masses(masses)
    assert distance(start, third, turned=True) > 0.3


def test_bonds_count_first() -> None:
    water = molecule("H2O")
    torn = water.copy()
    torn.positions[1] += [0.0, 0.6, 0.0]
    assert not is_same(water, torn) and name_of(water) == "O"
