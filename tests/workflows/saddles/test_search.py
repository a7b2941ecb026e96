"""From a guess to a saddle and its certificate."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read

from ase_physml.calculators.batch_evaluator import BatchEvaluator
from ase_physml.errors import StructureError
from ase_physml.workflows.image_files import write_images
from ase_physml.workflows.paths.band_search import BandSearch
from ase_physml.workflows.paths.interpolation import images_between
from ase_physml.workflows.paths.neb import Search, find_paths
from ase_physml.workflows.paths.reaction_path import ReactionPath
from ase_physml.workflows.saddles.eigenvector_following import updated
from ase_physml.workflows.saddles.files import write_saddle
from ase_physml.workflows.saddles.search import (
    Guess,
    Saddle,
    SaddleSettings,
    find_saddles,
)
from ase_physml.workflows.together import Task, run_together

from surfaces import Jump, Quadratic  # isort: skip


def line(shift: float = 0.0, bend: float = 0.0) -> Atoms:
    """O-H-O, the H a shift to the right of the middle."""
    return Atoms("OHO", [[0, 0, 0], [1.3 + shift, bend, 0], [2.6, 0, 0]])


def ends(well: float = 0.25) -> tuple[Atoms, Atoms]:
    """Minima of a surface that is not tilted: the H is nearer to one O."""
    pair = line(-well), line(well)
    for atoms in pair:
        # Of another method, by what a file says: no barrier may be made of that.
        atoms.calc = SinglePointCalculator(atoms, energy=-99.0)
    return pair


def find(guess: Guess, surface: Jump, **settings: object) -> Saddle:
    (found,) = find_saddles(guess, surface, SaddleSettings(**settings))  # type: ignore[arg-type]
    assert isinstance(found, Saddle), found
    return found


def test_a_saddle_that_joins_its_ends() -> None:
    surface = Jump(height=0.5)
    guess = line(0.06, bend=0.05)
    before = guess.positions.copy()
    found = find(Guess(guess, ends=ends()), surface, zero_point=True)
    np.testing.assert_array_equal(guess.positions, before)
    assert found.certificate.grade == "PASS", found.certificate
    assert found.barriers == pytest.approx((0.5, 0.5), abs=1e-3)
    assert len(found.vibrations.imaginary) == 1
    assert found.vibrations.hessian.largest_force < 0.01
    # Downhill all the way, from the side of the reactant.
    top = int(found.energies.argmax())
    assert (np.diff(found.energies[: top + 1]) > 0.0).all()
    assert (np.diff(found.energies[top:]) < 0.0).all()
    assert found.path[0].get_distance(0, 1) < 1.1 < found.path[-1].get_distance(0, 1)
    assert found.zero_point is not None
    # A saddle has one mode less.
    assert max(found.zero_point) < 0.0
    assert found.evaluations == sum(surface.batches)


def test_ends_the_other_way_round() -> None:
    surface = Jump()
    reactant, product = ends()
    found = find(Guess(line(0.05), ends=(product, reactant)), surface)
    assert found.certificate.grade == "PASS"
    assert found.path[0].get_distance(0, 1) > 1.1 > found.path[-1].get_distance(0, 1)


def test_barriers_are_above_each_end() -> None:
    surface = Jump(height=0.6, tilt=0.3)
    found = find(Guess(line(0.05)), surface)
    forward, back = found.barriers or (0.0, 0.0)
    assert forward - back == pytest.approx(
        found.energies[-1] - found.energies[0], abs=1e-9
    )
    assert "joins" in found.certificate.reason and found.certificate.grade == "PASS"


def test_saddles_of_other_reactions_are_named() -> None:
    surface = Jump()
    reactant, product = ends()
    # An end of other bonds: the H is at neither O.
    product.positions[1] += [0.0, 3.0, 0.0]
    found = find(Guess(line(0.05), ends=(reactant, product)), surface)
    assert found.certificate.grade == "FAIL" and found.barriers is None
    assert "another reaction: joins the reactant and" in found.certificate.reason
    # One of the same bonds, but another shape.
    far = line(0.25)
    far.positions[0] += [0.5, 1.8, 0.0]
    found = find(Guess(line(0.05), ends=(reactant, far)), surface)
    assert found.certificate.grade == "WARN"
    assert "another conformer of the product" in found.certificate.reason


def test_what_is_no_saddle_fails() -> None:
    bowl = Quadratic(line().positions, 20.0 * np.eye(9))
    (found,) = find_saddles(line(), bowl)
    assert isinstance(found, Saddle)
    assert "no imaginary mode" in found.certificate.reason
    assert found.certificate.grade == "FAIL" and not found.path
    found = find(Guess(line(0.2)), Jump(), steps=1)
    assert "no saddle:" in found.certificate.reason
    assert "after 1 steps" in found.certificate.reason


def test_many_at_once_are_the_same_and_share_batches() -> None:
    surface = Jump()
    guesses = [line(0.02 * k, bend=0.01 * k) for k in range(1, 4)]
    alone = [find(Guess(one), surface) for one in guesses]
    count, surface.batches = len(surface.batches), []
    together = find_saddles([*guesses, Atoms("H")], surface)
    assert len(surface.batches) < 0.7 * count
    assert isinstance(together[3], Exception)
    for one, other in zip(alone, together, strict=False):
        assert isinstance(other, Saddle)
        assert other.evaluations == one.evaluations
        np.testing.assert_allclose(other.energies, one.energies, atol=1e-9)


def test_a_band_goes_on_to_its_saddle() -> None:
    surface = Jump(height=0.5)
    loose = Search(5, 0.2, 3, relax_ends=False)
    (path,) = find_paths([ends()], surface, loose)
    assert isinstance(path, ReactionPath)
    assert path.grade == "PASS" and path.sound
    assert path.barrier == pytest.approx(0.5, abs=1e-3)
    assert path.barrier_back == pytest.approx(0.5, abs=1e-3)
    assert path.verdict == "PASS: joins reactant and product"
    assert path.images[0].info["verdict"] == path.verdict
    without = find_paths([ends()], surface, Search(5, 1e-6, 1, certify=False))
    assert isinstance(without[0], ReactionPath)
    assert without[0].grade == "WARN" and without[0].top is None


def test_files(tmp_path: Path) -> None:
    found = find(Guess(line(0.05)), Jump())
    write_saddle(tmp_path / "a.b", found.certificate, found)
    names = {path.name for path in tmp_path.iterdir()}
    ends = ("json", "xyz", "traj", "molden")
    assert names == {f"a.b.saddle.{end}" for end in ends}
    stored = json.loads((tmp_path / "a.b.saddle.json").read_text())
    assert stored["grade"] == "PASS" and stored["steps"] == len(found.forces) - 1
    frames = read(tmp_path / "a.b.saddle.traj", ":")
    assert [f.info["energy_eV"] for f in frames] == pytest.approx(found.energies)
    # What an earlier search left does not stand beside another's certificate.
    write_saddle(tmp_path / "a.b", found.certificate, None)
    assert [path.name for path in tmp_path.iterdir()] == ["a.b.saddle.json"]


def test_updates_know_the_last_step() -> None:
    random = np.random.default_rng(0)
    matrix, step, change = np.eye(6), random.normal(size=6), random.normal(size=6)
    found = updated(matrix, step, change)
    np.testing.assert_allclose(found @ step, change)
    np.testing.assert_allclose(found, found.T)
    np.testing.assert_array_equal(updated(matrix, step, matrix @ step), matrix)


def test_tasks_that_fail_leave_the_others() -> None:
    def task(atoms: Atoms, turns: int) -> Task[float]:
        total = 0.0
        for _ in range(turns):
            (found,) = yield [atoms]
            total += found["energy"]
        if turns == 2:
            raise StructureError("enough")
        return total

    surface = Jump()
    tasks = [task(line(0.1), 1), task(Atoms("H"), 3), task(line(), 2), task(line(), 0)]
    first, second, third, fourth = run_together(tasks, BatchEvaluator(surface))
    assert first == surface.one(line(0.1))["energy"] and fourth == 0.0
    assert isinstance(second, IndexError) and str(third) == "enough"


def test_images_are_added_around_a_sharp_top() -> None:
    surface = Jump(height=0.5)
    reactant, product = ends()
    band = BandSearch(surface, "FIRE", 1e-9, True)
    band.add(0, images_between((reactant, product), 3), ())
    band.run([0], 0)
    first = band.images(0)
    band.zoom(0, 5)
    band.run([0], 0)
    whole = band.images(0)
    # Two inside each half that was there, and the ends as they were.
    assert len(whole) == 5
    for k in (0, -1):
        np.testing.assert_allclose(whole[k].positions, first[k].positions, atol=1e-9)
    # A top of several images far from its end is searched on as it is.
    bent = images_between((reactant, product), 9)
    for image in bent[1:-1]:
        image.positions[1, 1] += 0.3
    band.add(1, bent, ())
    band.run([1], 0)
    band.zoom(1, 5)
    assert len(band.images(1)) == 9


def test_bands_that_go_on_keep_their_ends(tmp_path: Path) -> None:
    surface = Jump(height=0.5)
    state = tmp_path / "a.state.traj"
    pair = line(-0.22), line(0.22)
    search = Search(5, 1e-9, 2, certify=False)
    (first,) = find_paths([pair], surface, search, states=[state])
    assert isinstance(first, ReactionPath)
    write_images(first.images, state)
    before = len(surface.batches)
    again = Search(5, 1e-9, 0, certify=False)
    (second,) = find_paths([pair], surface, again, states=[state], resume=True)
    assert isinstance(second, ReactionPath)
    # The images of the band at once, and no relaxation before.
    assert len(surface.batches) - before <= 2
    np.testing.assert_array_equal(second.images[0].positions, first.images[0].positions)
