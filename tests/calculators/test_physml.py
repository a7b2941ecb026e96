"""The calculator: right forces, ASE's caching rules, copies that share weights."""

import copy
import gc
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.test import calculate_numerical_forces
from ase.io import read
from ase.io.trajectory import Trajectory
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from ase.mep import NEB
from ase.optimize import BFGS

from ase_physml import PhysMLCalculator
from ase_physml.errors import PotentialError
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML

NAMES = ("CH3CH2OH", "H2O", "CH3CONH2", "HCN")


def rattled(name: str, seed: int = 0) -> Atoms:
    atoms = molecule(name)
    atoms.rattle(0.05, seed=seed)
    return atoms


def test_results_are_plain_numpy_in_ase_units(calculator: PhysMLCalculator) -> None:
    atoms = rattled("CH3CH2OH")
    atoms.calc = calculator
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    assert isinstance(energy, float)
    assert calculator.results["free_energy"] == energy
    assert type(forces) is np.ndarray
    assert forces.dtype == np.float64
    assert forces.shape == (9, 3)
    assert atoms.get_potential_energies().sum() == pytest.approx(energy, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_forces_are_the_gradient(calculator: PhysMLCalculator, name: str) -> None:
    atoms = rattled(name)
    atoms.calc = calculator
    numerical = calculate_numerical_forces(atoms, eps=1e-5)
    assert np.abs(atoms.get_forces() - numerical).max() < 1e-6


def test_two_distant_molecules_are_two_molecules(calculator: PhysMLCalculator) -> None:
    one, other = rattled("CH3CH2OH"), rattled("HCN")
    other.positions += [50.0, 0.0, 0.0]
    both = one + other
    alone = [r["energy"] for r in calculator.calculate_many([one, other])]
    (together,) = calculator.calculate_many([both])
    assert together["energy"] == pytest.approx(sum(alone), abs=1e-9)


def test_nothing_is_computed_twice(calculator: PhysMLCalculator) -> None:
    atoms = rattled("H2O")
    atoms.calc = calculator
    atoms.get_forces()
    atoms.get_potential_energy()
    atoms.get_potential_energies()
    assert calculator.evaluations == 1
    atoms.positions[0, 0] += 1e-3
    atoms.get_potential_energy()
    assert calculator.evaluations == 2


def test_copies_own_their_results_and_share_weights(
    calculator: PhysMLCalculator,
) -> None:
    atoms = rattled("H2O")
    atoms.calc = calculator
    energy = atoms.get_potential_energy()
    for other in (copy.copy(calculator), copy.deepcopy(calculator)):
        assert other.model is calculator.model
        moved = rattled("CH4")
        moved.calc = other
        moved.get_potential_energy()
        assert calculator.results["energy"] == energy
    images = [atoms.copy() for _ in range(3)]
    for image in images:
        image.calc = copy.copy(calculator)
    assert len({id(image.calc.model) for image in images}) == 1


def test_pickle_reads_the_file_again(calculator: PhysMLCalculator) -> None:
    data = pickle.dumps(calculator)
    assert len(data) < 20_000
    again = pickle.loads(data)
    atoms = rattled("H2O")
    (expected,) = calculator.calculate_many([atoms])
    assert again.calculate_many([atoms])[0]["energy"] == expected["energy"]


def test_pickle_of_a_module_holds_the_weights() -> None:
    model = PhysML(PhysMLConfig(width=16, depth=1, heads=2, n_basis=8))
    calc = PhysMLCalculator(model)
    again = pickle.loads(pickle.dumps(calc))
    atoms = rattled("H2O")
    expected = calc.calculate_many([atoms])[0]["energy"]
    assert again.calculate_many([atoms])[0]["energy"] == expected


def _energy(calculator: PhysMLCalculator, atoms: Atoms) -> float:
    atoms.calc = calculator
    return float(atoms.get_potential_energy())


def test_spawned_process_gets_it(calculator: PhysMLCalculator) -> None:
    atoms = rattled("H2O")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        energy = pool.apply(_energy, (calculator, atoms.copy()))
    assert energy == pytest.approx(_energy(calculator, atoms), abs=1e-10)


def test_many_equals_one_by_one_and_fills_images(
    calculator: PhysMLCalculator,
) -> None:
    structures = [rattled(name, seed) for seed, name in enumerate(NAMES * 2)]
    alone = []
    for atoms in structures:
        single = atoms.copy()
        single.calc = copy.copy(calculator)
        alone.append((single.get_potential_energy(), single.get_forces()))
        atoms.calc = copy.copy(calculator)
    before = calculator.evaluations
    results = calculator.calculate_many(structures)
    assert calculator.evaluations == before + 1
    for atoms, result, (energy, forces) in zip(structures, results, alone, strict=True):
        assert result["energy"] == pytest.approx(energy, abs=1e-9)
        np.testing.assert_allclose(result["forces"], forces, atol=1e-9)
        # Filled in: asking the image computes nothing.
        assert atoms.get_potential_energy() == result["energy"]
        assert atoms.calc.evaluations == 0
    again = calculator.calculate_many(structures, batch_size=3)
    np.testing.assert_allclose(
        [r["energy"] for r in again], [r["energy"] for r in results], atol=1e-9
    )


def test_many_of_none(calculator: PhysMLCalculator) -> None:
    assert calculator.calculate_many([]) == []


def test_float32_is_close(tiny_potential: Path) -> None:
    atoms = rattled("CH3CH2OH")
    exact = PhysMLCalculator(tiny_potential).calculate_many([atoms])[0]
    single = PhysMLCalculator(tiny_potential, dtype="float32")
    (quick,) = single.calculate_many([atoms])
    assert quick["energy"] == pytest.approx(exact["energy"], abs=1e-3)
    np.testing.assert_allclose(quick["forces"], exact["forces"], atol=1e-2)


def test_pair_parameters_can_be_read(calculator: PhysMLCalculator) -> None:
    found = calculator.pair_parameters(rattled("CH3CONH2"))
    for name, value in found._asdict().items():
        assert value.shape == (9, 9), name
        torch.testing.assert_close(value, value.T)


def test_torch_is_left_as_it_was(tiny_potential: Path) -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    was = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    model = PhysML(PhysMLConfig(width=16, depth=1, heads=2, n_basis=8))
    torch.set_rng_state(state)
    for source in (tiny_potential, model):
        calc = PhysMLCalculator(source)
        calc.calculate_many([rattled("H2O")])
    now = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    assert now == was
    assert torch.equal(torch.get_rng_state(), state)
    # Weights that someone else trains stay trainable.
    assert all(p.requires_grad for p in model.parameters())
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_no_gradients_wanted_by_the_caller(calculator: PhysMLCalculator) -> None:
    atoms = rattled("H2O")
    (expected,) = calculator.calculate_many([atoms])
    with torch.no_grad():
        (found,) = calculator.calculate_many([atoms])
    np.testing.assert_array_equal(found["forces"], expected["forces"])


def test_no_tensor_outlives_its_calculation(calculator: PhysMLCalculator) -> None:
    def tensors() -> int:
        gc.collect()
        return sum(isinstance(x, torch.Tensor) for x in gc.get_objects())

    calculator.calculate_many([rattled("CH4")])
    before = tensors()
    for seed in range(20):
        calculator.calculate_many([rattled("CH4", seed)])
    assert tensors() <= before


def test_bfgs_and_trajectory(calculator: PhysMLCalculator, tmp_path: Path) -> None:
    atoms = rattled("H2O")
    atoms.calc = calculator
    path = tmp_path / "h2o.traj"
    with BFGS(atoms, logfile=None, trajectory=str(path)) as optimizer:
        optimizer.run(fmax=0.02, steps=20)
    frames = read(path, ":")
    assert frames[-1].get_potential_energy() < frames[0].get_potential_energy()
    # Each step is one evaluation, written without another.
    assert calculator.evaluations == len(frames)


def test_neb_images_share_the_model(calculator: PhysMLCalculator) -> None:
    first, last = rattled("H2O"), rattled("H2O", 1)
    images = [first, *(first.copy() for _ in range(3)), last]
    for image in images:
        image.calc = copy.copy(calculator)
    path = NEB(images, method="improvedtangent")
    path.interpolate()
    forces = path.get_forces()
    assert forces.shape == (9, 3)
    assert np.isfinite(forces).all()


def test_dynamics_conserve_energy(calculator: PhysMLCalculator) -> None:
    atoms = rattled("CH4")
    atoms.calc = calculator
    rng = np.random.default_rng(0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=100, rng=rng)
    dynamics = VelocityVerlet(atoms, 0.1 * units.fs)
    energies = []
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()))
    dynamics.run(60)
    kinetic = max(atoms.get_kinetic_energy(), 0.01)
    assert np.ptp(energies) < 0.05 * kinetic


def test_trajectory_remembers_the_potential(
    calculator: PhysMLCalculator, tmp_path: Path
) -> None:
    atoms = rattled("H2O")
    atoms.calc = calculator
    energy = atoms.get_potential_energy()
    with Trajectory(tmp_path / "a.traj", "w") as out:
        out.write(atoms)
    again = read(tmp_path / "a.traj")
    assert again.get_potential_energy() == energy


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, "dtype must be"),
        ({"device": "abacus"}, "not one torch knows"),
        ({"device": "mps"}, "no float64"),
    ],
)
def test_refused_options(
    tiny_potential: Path, options: dict[str, str], message: str
) -> None:
    with pytest.raises(PotentialError, match=message):
        PhysMLCalculator(tiny_potential, **options)


def test_a_changed_file_is_read_again(tiny_potential: Path, tmp_path: Path) -> None:
    import os

    from ase_physml.store.checkpoint import load_potential, save_model

    model, card = load_potential(tiny_potential)
    path = tmp_path / "mine.pt"
    save_model(path, model, card)
    atoms = rattled("H2O")
    (first,) = PhysMLCalculator(path).calculate_many([atoms])
    with torch.no_grad():
        model.element_bias += 1.0
    save_model(path, model, card)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))
    (second,) = PhysMLCalculator(path).calculate_many([atoms])
    assert second["energy"] == pytest.approx(first["energy"] + 3.0, abs=1e-5)


@pytest.mark.slow
def test_compiled_gives_the_same(tiny_potential: Path) -> None:
    plain = PhysMLCalculator(tiny_potential, device="cpu")
    fused = PhysMLCalculator(tiny_potential, device="cpu", compiled=True)
    for structures in (
        [molecule("CH3OH")],
        [molecule("C6H6")],
        [molecule("H2")],  # too small to compile for
        [molecule("CH4"), molecule("CH4")],
        [molecule("CH4"), molecule("H2O")],  # not of equal size
    ):
        for one, other in zip(
            plain.calculate_many(structures),
            fused.calculate_many(structures),
            strict=True,
        ):
            assert one["energy"] == pytest.approx(other["energy"], abs=1e-9)
            np.testing.assert_allclose(one["energies"], other["energies"], atol=1e-9)
            np.testing.assert_allclose(one["forces"], other["forces"], atol=1e-9)


def test_pickles_open_in_another_folder(
    tiny_potential: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.pt"
    path.write_bytes(tiny_potential.read_bytes())
    monkeypatch.chdir(tmp_path)
    calc = PhysMLCalculator("mine.pt", device="cpu")
    data = pickle.dumps(calc)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    atoms = rattled("H2O")
    expected = calc.get_potential_energy(atoms)
    for other in (pickle.loads(data), copy.deepcopy(calc)):
        assert other.get_potential_energy(atoms) == expected
    assert calc.todict()["potential"] == "mine.pt"
    # Another file under the same name is another potential.
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(PotentialError, match=r"mine\.pt: not the file .* SHA-256"):
        pickle.loads(data)
    path.unlink()
    with pytest.raises(PotentialError, match=r"mine\.pt: the calculator was made from"):
        pickle.loads(data)
