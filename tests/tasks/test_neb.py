"""The search for paths, from ends to files."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from ase_physml import PhysMLCalculator
from ase_physml.errors import StructureError
from ase_physml.tasks.neb import ReactionPath, Search, find_paths, write_images
from ase_physml.tasks.plots import plot_path

QUICK = Search(images=5, steps=4, any_domain=True, relax_ends=False)


@pytest.fixture
def calculator(tiny_potential: Path) -> PhysMLCalculator:
    return PhysMLCalculator(tiny_potential, device="cpu")


def ends(name: str = "CH3OH", seed: int = 1) -> tuple[Atoms, Atoms]:
    last = molecule(name)
    last.rattle(0.2, seed=seed)
    last.rotate(40, "x")
    return molecule(name), last


def test_paths_of_several_reactions(calculator: PhysMLCalculator) -> None:
    pairs = [ends("CH3OH"), (molecule("CH4"), molecule("NH3")), ends("C2H4", 2)]
    seen: list[int] = []
    found = find_paths(
        pairs, calculator, QUICK, on_step=lambda index, *_: seen.append(index)
    )
    assert isinstance(found[1], StructureError)
    assert sorted(seen) == [0] * 5 + [2] * 5
    for one in (found[0], found[2]):
        assert isinstance(one, ReactionPath)
        assert len(one.images) == len(one.energies) == 5
        assert one.barrier == one.energies[one.saddle] - one.energies[0] >= 0
        assert len(one.forces) == 5 and not one.converged
        # The product has been turned onto the reactant.
        first, last = one.images[0], one.images[-1]
        assert np.abs(first.positions - last.positions).max() < 1.0


def test_ends_are_relaxed_and_failures_stay_apart(
    calculator: PhysMLCalculator,
) -> None:
    silane = molecule("SiH4"), molecule("SiH4")
    search = Search(images=3, steps=1, any_domain=True, end_fmax=0.5)
    first, second = find_paths([ends(), silane], calculator, search)
    assert isinstance(second, StructureError) and "Si" in str(second)
    assert isinstance(first, ReactionPath)
    largest = np.linalg.norm(first.images[0].get_forces(), axis=1).max()
    assert largest < 0.5


def test_a_potential_of_minima_is_refused_unless_told(
    calculator: PhysMLCalculator,
) -> None:
    with pytest.raises(StructureError, match=r"equilibrium structures only .*barrier"):
        find_paths([ends()], calculator)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (Search(images=2), "3 images"),
        (Search(fmax=0.0), "fmax"),
        (Search(optimizer="CG"), "optimizer"),
    ],
)
def test_unusable_settings(
    calculator: PhysMLCalculator, search: Search, message: str
) -> None:
    with pytest.raises(StructureError, match=message):
        find_paths([ends()], calculator, search)


def test_a_search_goes_on_from_its_state(
    calculator: PhysMLCalculator, tmp_path: Path
) -> None:
    state = tmp_path / "a.state.traj"
    (first,) = find_paths([ends()], calculator, QUICK)
    assert isinstance(first, ReactionPath)
    write_images(first.images, state)
    (second,) = find_paths([ends()], calculator, QUICK, states=[state], resume=True)
    assert isinstance(second, ReactionPath)
    assert second.forces[0] == pytest.approx(first.forces[-1], abs=1e-6)


def test_plot(calculator: PhysMLCalculator, tmp_path: Path) -> None:
    (path,) = find_paths([ends()], calculator, QUICK)
    assert isinstance(path, ReactionPath)
    plot_path(path, tmp_path / "a.png", 0.05)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
