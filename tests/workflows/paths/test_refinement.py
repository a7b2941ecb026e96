"""More images where bonds change."""

import numpy as np
import pytest
from ase import Atoms

from ase_physml.workflows.paths.refinement import bond_changes, refined, window_of


def image(turn: float, bond: float) -> Atoms:
    """H-O-O-H turned about its middle, and a fluorine a bond away."""
    atoms = Atoms(
        "HOOHF",
        [[0.9, 0, -0.3], [0, 0, 0], [0, 0, 1.4], [0.9, 0, 1.7], [0, -bond, 0]],
    )
    atoms.positions[3, :2] = 0.9 * np.array([np.cos(turn), np.sin(turn)])
    return atoms


def conformations_then_a_bond() -> list[Atoms]:
    turns = np.linspace(0.0, 1.5, 7)
    return [*(image(t, 1.45) for t in turns), image(1.5, 3.2), image(1.5, 3.3)]


def test_bonds_change_where_one_breaks() -> None:
    changes = bond_changes(conformations_then_a_bond())
    assert changes[6] == pytest.approx(1.0, abs=0.1)
    assert np.delete(changes, 6).max() < 0.1


def test_the_window_is_where_bonds_change() -> None:
    images = conformations_then_a_bond()
    assert window_of(images) == (5, 8)
    # No bond changes; or enough images see it.
    assert window_of(images[:7]) is None
    assert window_of([image(0.0, d) for d in np.linspace(1.45, 3.3, 9)]) is None
    # A part that is most of the band is not worth a band of its own.
    assert window_of(images[5:]) is None


def test_a_part_gets_images_where_they_are_missing() -> None:
    part = conformations_then_a_bond()[5:]
    found = refined(part, 9)
    assert len(found) == 9
    for k in (0, -1):
        np.testing.assert_array_equal(found[k].positions, part[k].positions)
    bonds = [one.get_distance(1, 4) for one in found]
    assert np.all(np.diff(bonds) > -1e-6)
    assert bond_changes(found).max() < 0.6 * bond_changes(part).max()
    assert sum(1.5 < d < 3.1 for d in bonds) >= 4
