"""Ways between conformers below a saddle."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from ase_physml.workflows.paths.band_search import PathOutcome
from ase_physml.workflows.paths.certified import certified
from ase_physml.workflows.paths.connection import Detour, heights
from ase_physml.workflows.paths.neb import Search, find_paths
from ase_physml.workflows.paths.reaction_path import ReactionPath

from surfaces import Jump, Quadratic  # isort: skip


def bent(angle: float) -> Atoms:
    """H-O-O-H turned about its middle."""
    turn = np.radians(angle)
    end = [0.9 * np.cos(turn), 0.9 * np.sin(turn), 1.7]
    return Atoms("HOOH", [[0.9, 0, -0.3], [0, 0, 0], [0, 0, 1.4], end])


def test_a_way_is_as_high_as_its_highest_image() -> None:
    ends = bent(60.0), bent(100.0)
    bowl = Quadratic(ends[0].positions, 2.0 * np.eye(12))
    (energy,) = bowl.calculate_many(ends)[1:]
    (high,) = heights([Detour(ends, 9.0)], bowl)
    assert high is not None
    # Its end is the highest point, turned to face the other.
    assert 0.0 < high <= energy["energy"] + 1e-6
    assert heights([Detour(ends, high)], bowl) == [None]


def test_a_way_on_which_atoms_collide_is_none() -> None:
    ends = (
        Atoms("HOF", [[0, 0, 1], [0, 0, 0], [0, 0, -1.4]]),
        Atoms("HO", [[0, 0, 1]] * 2),
    )
    flat = Quadratic(np.zeros((3, 3)), np.zeros((9, 9)))
    assert heights([Detour(ends, 1.0)], flat) == [None]
    assert heights([], flat) == []


def test_another_conformer_is_joined_below_the_saddle() -> None:
    """Of a surface that minds distances to the H alone, the rest may turn freely."""
    surface = Jump(height=0.5)
    ends = [
        Atoms("OHO", [[0, 0, 0], [1.3 + d, 0.0, 0], [2.6, 0, 0]]) for d in (-0.25, 0.25)
    ]
    (path,) = find_paths(
        [(ends[0], ends[1])], surface, Search(5, 0.2, 3, relax_ends=False)
    )
    assert isinstance(path, ReactionPath) and path.certificate is not None
    assert path.certificate.connected and path.certificate.others == ()
    # The same bonds in another place.
    far = path.images[-1].copy()
    far.positions[0] = far.positions[1] + [-0.1, 1.55, 0.0]
    far.calc = path.images[-1].calc
    moved = replace(path, images=[*path.images[:-1], far])
    found: dict[int, PathOutcome] = dict(certified({0: moved}, surface))
    again = found[0]
    assert isinstance(again, ReactionPath) and again.certificate is not None
    assert again.grade == "WARN" and again.certificate.others == (1,)
    assert again.certificate.connected
    assert "turns into the product" in again.verdict
    assert again.barrier == pytest.approx(0.5, abs=0.02)
