"""What a band is worth."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from ase_physml.workflows.paths.reaction_path import SPACING, Verdict, judge


def verdict_of(
    energies: list[float], step: float = 0.4, force: float = 0.01
) -> Verdict:
    images = []
    for k in range(len(energies)):
        image = molecule("H2O")
        image.positions[1] += [0.0, 0.0, k * step]
        images.append(image)
    return judge(images, np.array(energies), force, 0.05, 7)


def test_a_sound_path() -> None:
    found = verdict_of([0.0, 0.5, 0.9, 0.3, 0.1])
    assert found == Verdict((), (), converged=True)


@pytest.mark.parametrize("force", [0.05, 0.3, np.nan])
def test_forces_that_are_left(force: float) -> None:
    found = verdict_of([0.0, 0.5, 0.9, 0.3, 0.1], force=force)
    assert not found.converged
    (flaw,) = found.flaws
    assert flaw.startswith("not converged") and "after 7 steps" in flaw


@pytest.mark.parametrize(
    ("energies", "end"),
    [([0.0, 0.2, 0.5], "product"), ([0.0, -0.2, -0.5], "reactant")],
)
def test_no_maximum_inside(energies: list[float], end: str) -> None:
    found = verdict_of(energies)
    assert found.flaws == (f"no maximum inside: the highest image is the {end}",)
    assert found.converged


def test_a_minimum_inside() -> None:
    found = verdict_of([0.0, 0.5, 0.1, 0.7, 0.2])
    assert not found.flaws
    (remark,) = found.remarks
    assert "a minimum inside at image 2, +0.100 eV" in remark
    # An end that is no minimum of its own.
    (remark,) = verdict_of([0.0, -0.1, 0.7, 0.2]).remarks
    assert "image 1, -0.100 eV" in remark
    assert not verdict_of([0.0, 0.5, 0.495, 0.7, 0.2]).remarks


def test_images_too_far_apart() -> None:
    found = verdict_of([0.0, 0.5, 0.1], step=1.01 * SPACING)
    assert not found.converged
    assert "too far apart: an atom moves 1.0 Å from image 0 to 1" in found.flaws[0]
    assert not verdict_of([0.0, 0.5, 0.1], step=0.99 * SPACING).flaws


def test_one_structure() -> None:
    found = verdict_of([0.0, 0.0, 0.001], step=0.01)
    assert not found.converged
    assert "the ends are one structure" in found.flaws[0]
    # Near, but of another energy: a bond that is stretched.
    assert "one structure" not in verdict_of([0.0, 0.05, 0.1], step=0.01).flaws[0]


def test_a_step_across_the_edge_of_a_cell_is_short() -> None:
    images = [
        Atoms("Ar", [[x % 5.0, 0, 0]], cell=[5, 5, 5], pbc=True)
        for x in (4.6, 5.0, 5.4)
    ]
    assert not judge(images, np.array([0.0, 0.5, 0.1]), 0.01, 0.05, 1).flaws
