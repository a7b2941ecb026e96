"""Steps on surfaces of known second derivatives."""

import numpy as np
import pytest
from ase import Atoms

from ase_physml.workflows.saddles.eigenvector_following import (
    Place,
    _is_lost,
    _next_trust,
    rfo_step,
)


def place(gradient: list[float], curvatures: list[float]) -> Place:
    """One atom of a slab: three coordinates, none of them rigid."""
    atoms = Atoms("HH", [[0, 0, 0], [0, 0, 9.0]])
    atoms.numbers[1] = 6
    return Place(
        atoms, np.array([0]), 1.0, np.array(gradient), np.diag(np.array(curvatures))
    )


def test_stiff_modes_come_to_rest_where_soft_ones_are_cut() -> None:
    """A step scaled as a whole would leave the stiff one nearly where it is."""
    here = place([2.0, 0.05, 0.0], [50.0, 0.01, 5.0])
    step, mode = rfo_step(here, None, trust=0.1)
    assert mode is None
    assert np.linalg.norm(step) == pytest.approx(0.1, rel=1e-3)
    assert step[0] == pytest.approx(-2.0 / 50.0, rel=0.05)
    assert step[1] < 0.0


@pytest.mark.parametrize("curvature", [-3.0, 2.0])
def test_the_followed_mode_leads_up_within_the_trust(curvature: float) -> None:
    here = place([1.0, 0.0, 0.5], [curvature, 4.0, 0.02])
    step, mode = rfo_step(here, np.array([1.0, 0.0, 0.0]), trust=0.05)
    assert mode is not None and abs(mode[0]) == pytest.approx(1.0)
    assert np.linalg.norm(step) <= 0.05 * (1.0 + 1e-6)
    # Up the gradient along it, down along the others.
    assert step[0] > 0.0 > step[2]


def test_short_steps_are_left_as_they_are() -> None:
    here = place([0.01, 0.0, 0.0], [-2.0, 4.0, 4.0])
    step, _ = rfo_step(here, np.array([1.0, 0.0, 0.0]), trust=0.3)
    assert step[0] == pytest.approx(0.01 / 2.0, rel=0.05)


def test_a_step_into_a_wall_is_taken_back() -> None:
    here = place([0.5, 0.0, 0.0], [5.0, 5.0, 5.0])
    step = np.array([-0.1, 0.0, 0.0])
    expected = float(step @ (here.gradient + 0.5 * here.matrix @ step))
    wall = place([-4.0, 0.0, 0.0], [5.0, 5.0, 5.0])
    wall.energy = here.energy + 0.3
    assert _is_lost(here, wall, step)
    assert _next_trust(here, wall, step, 0.1) == pytest.approx(0.05)
    as_said = place([0.0, 0.0, 0.0], [5.0, 5.0, 5.0])
    as_said.energy = here.energy + expected
    assert not _is_lost(here, as_said, step)
    assert _next_trust(here, as_said, step, 0.1) == pytest.approx(0.15)
    # Of energies as small as their noise nothing is learned.
    as_said.energy = here.energy + 1e-4
    short = np.array([-1e-4, 0.0, 0.0])
    assert _next_trust(here, as_said, short, 0.1) > 0.1
