"""More images where bonds change."""

import numpy as np
import pytest
from ase import Atoms

from ase_physml.workflows.paths.band_search import BandSearch
from ase_physml.workflows.paths.certified import guess_of
from ase_physml.workflows.paths.reaction_path import ReactionPath
from ase_physml.workflows.paths.refinement import bond_changes, refined, window_of

from surfaces import Jump  # isort: skip


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
    assert window_of(images[5:], most=1.0) == (0, 3)


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


def hop(shifts: list[float]) -> list[Atoms]:
    """O-H-O, the H a shift to the right of the middle in each image."""
    return [Atoms("OHO", [[0, 0, 0], [1.3 + one, 0, 0], [2.6, 0, 0]]) for one in shifts]


def test_a_band_goes_on_where_bonds_change() -> None:
    surface = Jump(height=0.5)
    band = BandSearch(surface, "FIRE", 1e-9, True)
    before = hop([-0.25, -0.25, -0.24, -0.23, -0.23, -0.22, 0.24, 0.25, 0.25])
    band.add(0, [one.copy() for one in before], ())
    band.run([0], 0)
    assert max(one.get_potential_energy() for one in band.images(0)) < 0.1
    assert band.resolve(0, 9)
    band.run([0], 0)
    after = band.images(0)
    # The barrier that lay between two images is seen now.
    assert max(one.get_potential_energy() for one in after) > 0.4
    assert len(after) == 9 + 5
    for k in (0, 1, 2, -1):
        # Turned and shifted with the band perhaps.
        np.testing.assert_allclose(
            after[k].get_all_distances(), before[k].get_all_distances(), atol=1e-6
        )
    # Enough images: nothing changes.
    band.add(1, hop(list(np.linspace(-0.25, 0.25, 9))), ())
    band.run([1], 0)
    assert not band.resolve(1, 9) and len(band.images(1)) == 9


def test_the_guess_is_the_top_where_bonds_change() -> None:
    images = hop([-0.25, -0.25, -0.25, -0.2, 0.0, 0.2, 0.25])
    energies = np.array([0.0, 0.9, 0.0, 0.2, 0.5, 0.2, 0.0])
    path = ReactionPath(images, energies, [0.0], True, 0.0)
    assert guess_of(path).atoms is images[4]
    # Where no bond changes at a top, the highest image is all there is.
    flat = ReactionPath(
        images, np.array([0.0, 0.9, 0.5, 0.4, 0.3, 0.2, 0.1]), [0.0], True, 0.0
    )
    assert guess_of(flat).atoms is images[1]
