"""Relaxation with any ASE calculator; here EMT, which needs no potential file."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from scipy.spatial.transform import Rotation

import ase_physml
from ase_physml.calculators.provenance import identity_of
from ase_physml.errors import PotentialError, StructureError
from ase_physml.workflows.alignment import mean_displacement
from ase_physml.workflows.plots import plot_relaxation
from ase_physml.workflows.relax import (
    Relaxation,
    finished,
    relax,
    relaxation_identity,
    write_final,
)


class Broken(Calculator):
    """Falls apart after two evaluations."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(self, atoms, properties, system_changes) -> None:  # noqa: ANN001
        super().calculate(atoms, properties, system_changes)
        self.calls = getattr(self, "calls", 0) + 1
        energy = float("nan") if self.calls > 2 else 1.0
        self.results = {"energy": energy, "forces": -0.1 * atoms.positions - 1.0}


@pytest.fixture
def methanol() -> Atoms:
    atoms = molecule("CH3OH")
    atoms.rattle(0.1, seed=1)
    atoms.calc = EMT()
    return atoms


@pytest.mark.parametrize("optimizer", ["BFGS", "LBFGS", "FIRE"])
def test_reaches_the_threshold(methanol: Atoms, optimizer: str) -> None:
    start = methanol.positions.copy()
    seen: list[tuple[int, float]] = []
    done = relax(
        methanol,
        optimizer=optimizer,
        fmax=0.02,
        on_step=lambda *step: seen.append(step),
    )
    assert done.converged
    largest = np.linalg.norm(done.atoms.get_forces(), axis=1).max()
    assert largest == pytest.approx(done.fmax_history[-1]) and largest < 0.02
    np.testing.assert_array_equal(done.forces, done.atoms.get_forces())
    assert done.energies[-1] == pytest.approx(done.atoms.get_potential_energy())
    assert done.energies[-1] < done.energies[0]
    assert len(done.energies) == len(done.fmax_history) == done.steps + 1
    assert seen == list(enumerate(done.fmax_history))
    assert done.moved == pytest.approx(mean_displacement(done.atoms.positions, start))
    # The structure that came in is not the one that moved.
    np.testing.assert_array_equal(methanol.positions, start)


def test_a_calculator_is_given_by_itself_or_by_name(methanol: Atoms) -> None:
    own = relax(methanol, fmax=0.02)
    start = methanol.copy()
    for calculator in (EMT(), "emt"):
        done = ase_physml.relax(start, calculator, fmax=0.02)
        np.testing.assert_array_equal(done.atoms.positions, own.atoms.positions)
        assert done.moved == own.moved
    assert start.calc is None
    # It comes before one that the structure has.
    assert relax(own.atoms, Broken(), steps=1).energies == [1.0, 1.0]
    with pytest.raises(PotentialError, match="no calculator"):
        relax(start, Atoms)
    with pytest.raises(StructureError, match="but a str"):
        relax("CCO", "emt")


def test_stops_at_the_number_of_steps(methanol: Atoms) -> None:
    done = relax(methanol, fmax=1e-6, steps=3)
    assert done.steps == 3 and not done.converged
    still = relax(methanol, steps=0)
    assert still.steps == 0 and still.moved == pytest.approx(0.0, abs=1e-9)


def test_constraints_and_cells_are_kept() -> None:
    slab = fcc111("Cu", (2, 2, 3), vacuum=8.0)
    slab.set_constraint(FixAtoms(mask=slab.positions[:, 2] < 9.0))
    slab.positions[-1, 2] += 0.3
    slab.calc = EMT()
    done = relax(slab, fmax=0.01)
    shift = np.linalg.norm(done.atoms.positions - slab.positions, axis=1)
    assert done.converged and done.atoms.pbc.any()
    assert shift[:4].max() == 0.0 and shift[-1] > 0.1
    assert done.moved == pytest.approx(shift.mean())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "bgfs"}, "'bgfs' is not one of BFGS, LBFGS, FIRE"),
        ({"fmax": 0.0}, "fmax must be above 0"),
        ({"fmax": float("nan")}, "fmax must be above 0"),
        ({"steps": -1}, "steps must be 0 or more"),
    ],
)
def test_unusable_settings(
    methanol: Atoms, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(StructureError, match=message):
        relax(methanol, **settings)


def test_needs_atoms_and_a_calculator() -> None:
    with pytest.raises(StructureError, match="no calculator"):
        relax(molecule("H2O"))
    with pytest.raises(StructureError, match="no atoms"):
        relax(Atoms(calculator=EMT()))


def test_files_hold_what_the_result_holds(methanol: Atoms, tmp_path: Path) -> None:
    path = tmp_path / "a.b.traj"
    done = relax(methanol, fmax=0.02, steps=100, trajectory=path)
    write_final(done, tmp_path / "a.b")
    plot_relaxation(done, tmp_path / "a.b.png", 0.02)
    assert {p.name for p in tmp_path.iterdir()} == {"a.b.traj", "a.b.xyz", "a.b.png"}
    frames = read(tmp_path / "a.b.traj", ":")
    assert [f.get_potential_energy() for f in frames] == pytest.approx(done.energies)
    largest = [np.linalg.norm(f.get_forces(), axis=1).max() for f in frames]
    assert largest == pytest.approx(done.fmax_history)
    final = read(tmp_path / "a.b.xyz")
    np.testing.assert_allclose(final.positions, done.atoms.positions, atol=1e-7)
    assert final.get_potential_energy() == pytest.approx(done.energies[-1])
    assert (tmp_path / "a.b.png").read_bytes().startswith(b"\x89PNG")


class Killed(BaseException):
    """As if the process had gone."""


@pytest.mark.parametrize("optimizer", ["BFGS", "LBFGS", "FIRE"])
def test_a_killed_run_goes_on_to_the_same_end(
    methanol: Atoms, tmp_path: Path, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(step: int, _force: float) -> None:
        if step == 6:
            raise Killed

    settings = {"optimizer": optimizer, "fmax": 0.02, "steps": 60}
    whole = relax(methanol, **settings)
    path = tmp_path / "a.traj"
    with monkeypatch.context() as kept:
        kept.setattr(Relaxation, "abandon", lambda _self: None)
        with pytest.raises(Killed):
            relax(methanol, **settings, trajectory=path, on_step=stop)
    calls = EMT.calculate
    fresh: list[int] = []
    monkeypatch.setattr(
        EMT, "calculate", lambda *args, **kw: (fresh.append(1), calls(*args, **kw))
    )
    resumed = Relaxation(methanol, optimizer, 0.02, 60, trajectory=path, resume=True)
    assert not fresh
    while not resumed.finished:
        resumed.record()
        if not resumed.finished:
            resumed.step()
    done = resumed.result()
    np.testing.assert_allclose(done.energies, whole.energies, atol=1e-9)
    assert len(read(path, ":")) == done.steps + 1
    made_of = relaxation_identity(methanol, identity_of(EMT()), optimizer, 0.02, 60)
    earlier = finished(methanol, path, 0.02, made_of)
    assert earlier is not None
    assert (earlier.steps, earlier.converged) == (whole.steps, whole.converged)
    np.testing.assert_allclose(earlier.forces, done.forces, atol=1e-9)
    assert finished(methanol, tmp_path / "none.traj", 0.02, made_of) is None


def test_a_broken_unfinished_trajectory_is_started_over(
    methanol: Atoms, tmp_path: Path
) -> None:
    (tmp_path / "a.traj.part").write_bytes(b"half a header")
    running = Relaxation(
        methanol, "BFGS", 0.02, 60, trajectory=tmp_path / "a.traj", resume=True
    )
    assert running.energies == []
    running.abandon()


def test_failure_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    atoms = molecule("H2O")
    atoms.calc = Broken()
    earlier = tmp_path / "water.traj"
    earlier.write_bytes(b"of an earlier run")
    with pytest.raises(StructureError, match="at step 2 the energy is nan"):
        relax(atoms, trajectory=earlier)
    assert [p.name for p in tmp_path.iterdir()] == ["water.traj"]
    assert earlier.read_bytes() == b"of an earlier run"


def test_displacement_ignores_rotation_and_translation() -> None:
    a = molecule("CH3CH2OH").positions
    turned = Rotation.from_rotvec([0.3, -2.0, 1.1]).apply(a) + np.arange(3.0)
    assert mean_displacement(turned, a) == pytest.approx(0.0, abs=1e-12)
    stretched = np.array([[0.0, 0.0, 0.0], [0.0, 1.2, 0.0]])
    assert mean_displacement(stretched, stretched[:, ::-1] / 1.2) == pytest.approx(0.1)
    assert mean_displacement(np.ones((1, 3)), np.zeros((1, 3))) == 0.0


def test_a_mirror_image_has_moved() -> None:
    chiral = np.array([[0, 0, 0], [1, 0, 0], [0, 1.3, 0], [0, 0, 1.7], [-1, -1, -1.0]])
    assert mean_displacement(chiral * [1, 1, -1], chiral) > 0.1


def test_displacement_is_the_smallest_mean_square() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 3))
    b = a + 0.1 * rng.normal(size=(6, 3))
    a, b = a - a.mean(0), b - b.mean(0)
    best, _ = Rotation.align_vectors(b, a)
    expected = np.linalg.norm(best.apply(a) - b, axis=1).mean()
    assert mean_displacement(a, b) == pytest.approx(expected)
