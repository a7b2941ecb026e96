"""Starts of bands where the straight path leads nowhere."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms
from scipy.spatial.distance import pdist

from ase_physml.errors import StructureError
from ase_physml.workflows.alignment import align_ends
from ase_physml.workflows.paths.interpolation import images_between, interpolate
from ase_physml.workflows.paths.neb import Search, find_paths

from surfaces import Jump  # isort: skip


def line(symbols: str, *places: float) -> Atoms:
    return Atoms(symbols, [[0, 0, z] for z in places])


def nearest(images: list[Atoms]) -> float:
    return min(float(pdist(image.positions).min()) for image in images)


def test_an_atom_of_a_line_goes_around_the_others() -> None:
    hcn, hnc = line("CNH", 0, 1.15, -1.07), line("CNH", 0, 1.17, 2.17)
    # Face to face with C on C, not on N, which would be the least way of all atoms.
    aligned = align_ends(hcn, hnc)
    assert np.linalg.norm(aligned.positions - hcn.positions, axis=1)[:2].max() < 0.1
    images = images_between((hcn, hnc), 7)
    assert nearest(images) > 0.8
    middle = images[3].positions
    assert np.linalg.norm(np.cross(middle[1] - middle[0], middle[2] - middle[0])) > 0.5


def test_atoms_of_two_elements_turn_around_each_other() -> None:
    isonitrile = molecule("CH3CN")
    c, n = (isonitrile.symbols.search("N")[0], isonitrile.symbols.search("C"))
    far = max(n, key=lambda k: -isonitrile.get_distance(k, c))
    turned = isonitrile.copy()
    turned.positions[[c, far]] = turned.positions[[far, c]]
    turned.positions[c] += 0.02
    images = images_between((isonitrile, turned), 9)
    assert nearest(images) > 0.8


def test_equal_atoms_that_trade_places_are_refused_as_ever() -> None:
    one = molecule("CH4")
    one.set_constraint(FixAtoms([0, 3, 4]))
    other = one.copy()
    other.positions[[1, 2]] = other.positions[[2, 1]]
    with pytest.raises(StructureError, match="run into each other"):
        images_between((one, other), 5)


def test_a_path_through_a_guess() -> None:
    ends = [Atoms("OHO", [[0, 0, 0], [x, 0, 0], [2.6, 0, 0]]) for x in (1.05, 1.55)]
    guess = Atoms("OHO", [[0, 0, 0], [1.3, 0.7, 0], [2.6, 0, 0]])
    guess.rotate(50, "z")
    for count in (3, 6, 7):
        images = images_between((ends[0], ends[1]), count, guess=guess)
        assert len(images) == count
        top = images[count // 2]
        np.testing.assert_allclose(pdist(top.positions), pdist(guess.positions))
    with pytest.raises(StructureError, match="different molecules"):
        images_between((ends[0], ends[1]), 5, guess=molecule("H2O"))
    search = Search(5, steps=0, relax_ends=False)
    (path,) = find_paths([(ends[0], ends[1])], Jump(), search, through=[guess])
    assert not isinstance(path, Exception) and path.grade == "PASS"


def test_geodesic_starts() -> None:
    ends = molecule("CH3OH"), molecule("CH3OH")
    ends[1].rattle(0.2, seed=1)
    pytest.importorskip("geodesic_interpolate")
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    images = images_between(ends, 6, "geodesic")
    # The library's own random numbers are not ours.
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    again = images_between(ends, 6, "geodesic")
    for one, other in zip(images, again, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
    assert nearest(images) > 0.7
    held = [image.copy() for image in images]
    held[0].set_constraint(FixAtoms([0]))
    with pytest.raises(StructureError, match="free molecules"):
        interpolate(held, "geodesic", apply_constraint=True)


def test_starts_that_are_none() -> None:
    ends = molecule("CH4"), molecule("CH4")
    with pytest.raises(StructureError, match="start 'straight'"):
        find_paths([ends], Jump(), Search(start="straight"))
