"""A committee: the mean of its members, and how far they part."""

import copy
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.io import read, write
from ase.io.trajectory import Trajectory

from ase_physml import PhysMLCalculator
from ase_physml.errors import PotentialError
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.store.checkpoint import load_potentials, save_model


@pytest.fixture
def calculator(tiny_committee: Path) -> PhysMLCalculator:
    return PhysMLCalculator(tiny_committee, device="cpu")


def rattled(name: str = "CH3CH2OH") -> Atoms:
    atoms = molecule(name)
    atoms.rattle(0.05, seed=0)
    return atoms


def test_mean_and_calibrated_spread(
    calculator: PhysMLCalculator, members: list[Path]
) -> None:
    atoms = rattled()
    said = [
        PhysMLCalculator(m, device="cpu").calculate_many([atoms])[0] for m in members
    ]
    atoms.calc = calculator
    energies = np.array([one["energy"] for one in said])
    forces = np.array([one["forces"] for one in said])
    assert atoms.get_potential_energy() == pytest.approx(energies.mean(), abs=1e-9)
    np.testing.assert_allclose(atoms.get_forces(), forces.mean(axis=0), atol=1e-9)
    assert atoms.get_potential_energies().sum() == pytest.approx(energies.mean())
    results = calculator.results
    np.testing.assert_allclose(results["energy_members"], energies, atol=1e-9)
    # The card says: twice the spread of energies, thrice that of forces.
    assert results["energy_std"] == pytest.approx(2.0 * energies.std(ddof=1))
    np.testing.assert_allclose(results["forces_std"], 3.0 * forces.std(0, ddof=1))
    assert calculator.get_property("energy_std", atoms) == results["energy_std"]
    assert calculator.evaluations == 1


def test_files_make_a_committee_without_calibration(members: list[Path]) -> None:
    calculator = PhysMLCalculator(members, device="cpu")
    atoms = rattled()
    atoms.calc = calculator
    atoms.get_forces()
    members_said = calculator.results["energy_members"]
    assert calculator.results["energy_std"] == pytest.approx(members_said.std(ddof=1))
    assert calculator.calibration.threshold is None
    assert calculator.potential == "0.pt + 1.pt + 2.pt"


def test_one_member_has_no_spread(members: list[Path]) -> None:
    calculator = PhysMLCalculator(members[0], device="cpu")
    atoms = rattled()
    atoms.calc = calculator
    atoms.get_forces()
    assert "energy_std" not in calculator.results
    with pytest.raises(PropertyNotImplementedError):
        calculator.get_property("energy_std", atoms)


def test_batch_equals_single(calculator: PhysMLCalculator) -> None:
    structures = [rattled(name) for name in ("H2O", "CH4", "CH3CONH2")]
    together = calculator.calculate_many(structures)
    for atoms, many in zip(structures, together, strict=True):
        (one,) = calculator.calculate_many([atoms])
        assert one["energy_std"] == pytest.approx(many["energy_std"], abs=1e-9)
        np.testing.assert_allclose(one["forces_std"], many["forces_std"], atol=1e-9)


def test_copies_share_weights(calculator: PhysMLCalculator) -> None:
    atoms = rattled()
    for other in (copy.copy(calculator), copy.deepcopy(calculator)):
        atoms.calc = other
        calculator.calculate_many([atoms])
        assert "forces_std" in other.results
        assert other.evaluations == 0
    again = pickle.loads(pickle.dumps(calculator))
    assert again.members == calculator.members
    assert len(pickle.dumps(calculator)) < 10_000


def test_what_ase_writes(calculator: PhysMLCalculator, tmp_path: Path) -> None:
    atoms = rattled()
    atoms.calc = calculator
    energy = atoms.get_potential_energy()
    assert calculator.export_properties()["energy"] == energy
    with Trajectory(tmp_path / "a.traj", "w") as out:
        out.write(atoms)
    write(tmp_path / "a.xyz", atoms, format="extxyz")
    for name in ("a.traj", "a.xyz"):
        again = read(tmp_path / name)
        assert again.get_potential_energy() == pytest.approx(energy, abs=1e-6)


def test_members_belong_together(members: list[Path], tmp_path: Path) -> None:
    (model,), card = load_potentials(members[0])
    save_model(members[1], model, replace(card, level_of_theory="another"))
    with pytest.raises(PotentialError, match="no common mean"):
        PhysMLCalculator(members[:2], device="cpu")
    config = PhysMLConfig(elements=(1, 6), width=16, depth=1, heads=2, n_basis=8)
    other = replace(card, architecture=config.to_dict())
    save_model(members[2], PhysML(config), other)
    with pytest.raises(PotentialError, match="share elements and cutoffs"):
        PhysMLCalculator([members[0], members[2]], device="cpu")
    with pytest.raises(PotentialError, match="of files or of modules"):
        PhysMLCalculator([members[0], model], device="cpu")
    with pytest.raises(PotentialError, match="needs a member"):
        PhysMLCalculator([], device="cpu")
