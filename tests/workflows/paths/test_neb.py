"""The search for paths, from ends to files."""

import copy
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms
from ase.mep import NEB
from ase.optimize import FIRE

from ase_physml import PhysMLCalculator
from ase_physml.errors import PotentialError, StructureError
from ase_physml.workflows.image_files import write_images
from ase_physml.workflows.paths.neb import Search, find_paths
from ase_physml.workflows.paths.reaction_path import ReactionPath
from ase_physml.workflows.plots import plot_path

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


def held_ends(calculator: PhysMLCalculator) -> tuple[Atoms, Atoms]:
    """Ethanol of which three atoms are held, and its hydroxyl turned."""
    first = molecule("CH3CH2OH")
    last = first.copy()
    last.rotate_dihedral(0, 1, 2, 3, 60, indices=[3])
    for atoms in (first, last):
        atoms.set_constraint(FixAtoms([1, 4, 5]))
    return first, last


def test_what_is_held_gives_the_path_of_ase(calculator: PhysMLCalculator) -> None:
    first, last = held_ends(calculator)
    search = Search(5, 1e-9, 6, climb=False, relax_ends=False, any_domain=True)
    (found,) = find_paths([(first, last)], calculator, search)
    assert isinstance(found, ReactionPath)
    images = [*(first.copy() for _ in range(4)), last.copy()]
    for image in images:
        image.calc = copy.copy(calculator)
    band = NEB(images, method="improvedtangent")
    band.interpolate("idpp")
    FIRE(band, logfile=None).run(fmax=1e-9, steps=6)
    np.testing.assert_allclose(
        found.energies, [i.get_potential_energy() for i in images], atol=1e-6
    )
    np.testing.assert_array_equal(found.images[-1].positions, last.positions)
    assert found.remarks[0] == "not aligned: held by FixAtoms"


def test_ends_that_are_one_structure(calculator: PhysMLCalculator) -> None:
    first = molecule("CH3OH")
    last = first.copy()
    last.rotate(70, "x")
    last.positions[0] += 0.01
    seen: list[int] = []
    pairs = [(first, last), ends()]
    found = find_paths(pairs, calculator, QUICK, lambda index, *_: seen.append(index))
    one, other = found
    assert isinstance(one, ReactionPath) and isinstance(other, ReactionPath)
    assert not one.converged and not one.sound and one.barrier_std is None
    assert "the ends are one structure" in one.verdict
    assert one.images[0].info["verdict"] == one.verdict
    # Nothing is searched between them.
    assert seen.count(0) == 1 and seen.count(1) == 5
    assert "not converged" in other.verdict


def test_a_committee_states_no_sigma_of_what_is_no_barrier(
    tiny_committee: Path,
) -> None:
    committee = PhysMLCalculator(tiny_committee, device="cpu")
    (path,) = find_paths([ends()], committee, QUICK)
    assert isinstance(path, ReactionPath)
    assert path.barrier_std is None
    sound = Search(5, 1e3, 0, relax_ends=False, any_domain=True)
    (path,) = find_paths([ends(seed=3)], committee, sound)
    assert isinstance(path, ReactionPath)
    assert (path.barrier_std is not None) == path.sound


def test_reactions_that_are_none_fail_alone(calculator: PhysMLCalculator) -> None:
    swapped = molecule("CH4")
    swapped.positions[[1, 2]] = swapped.positions[[2, 1]]
    swapped.set_constraint(FixAtoms([0, 3, 4]))
    methane = molecule("CH4")
    methane.set_constraint(FixAtoms([0, 3, 4]))
    given = [ends(), (molecule("CH4"),), (molecule("CH4"), "CH4"), (methane, swapped)]
    first, *others = find_paths(given, calculator, QUICK)
    assert isinstance(first, ReactionPath)
    assert all(isinstance(other, StructureError) for other in others)
    assert "reaction 1 must be a reactant and a product" in str(others[0])
    assert "the product of reaction 2 is not an ase.Atoms but a str" in str(others[1])
    assert "atoms 1 (H) and 2 (H) run into each other" in str(others[2])


def test_a_lone_pair_and_the_name_of_a_calculator(tiny_potential: Path) -> None:
    (path,) = find_paths(ends(), str(tiny_potential), QUICK)
    assert isinstance(path, ReactionPath)
    with pytest.raises(PotentialError, match="no calculator"):
        find_paths([ends()], None, QUICK)


def test_plot(calculator: PhysMLCalculator, tmp_path: Path) -> None:
    (path,) = find_paths([ends()], calculator, QUICK)
    assert isinstance(path, ReactionPath)
    plot_path(path, tmp_path / "a.png", 0.05)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
