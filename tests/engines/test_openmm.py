"""OpenMM: our numbers, conserved energy, and the same minima."""

from pathlib import Path

import numpy as np
import openmm
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from openmm import unit

from ase_physml import PhysMLCalculator
from ase_physml.engines.openmm import make_force, make_system, positions_of
from ase_physml.errors import StructureError
from ase_physml.workflows.relax import relax

KJ_PER_MOL = units.kJ / units.mol


@pytest.fixture
def ethanol() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=0)
    return atoms


def context_of(system: openmm.System, atoms: Atoms, step: float = 0.5e-3) -> object:
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(step), platform)
    context.setPositions(positions_of(atoms))
    return context


def energy_and_forces(context: object) -> tuple[float, np.ndarray]:
    state = context.getState(getEnergy=True, getForces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoules_per_mole)
    forces = state.getForces(asNumpy=True)._value
    return energy * KJ_PER_MOL, np.asarray(forces) * KJ_PER_MOL / units.nm


def test_numbers_are_those_of_the_calculator(
    ethanol: Atoms, tiny_potential: Path
) -> None:
    calculator = PhysMLCalculator(tiny_potential, device="cpu")
    context = context_of(make_system(ethanol, calculator), ethanol)
    energy, forces = energy_and_forces(context)
    ethanol.calc = calculator
    assert energy == pytest.approx(ethanol.get_potential_energy(), abs=1e-6)
    np.testing.assert_allclose(forces, ethanol.get_forces(), atol=1e-6)


def test_cells_are_turned_and_stay_what_they_are() -> None:
    copper = bulk("Cu", "fcc", a=3.7)  # its vectors lie along no axis
    copper.rattle(0.05, seed=1)
    copper = copper.repeat((3, 3, 3))
    context = context_of(make_system(copper, EMT()), copper)
    energy, forces = energy_and_forces(context)
    copper.calc = EMT()
    assert energy == pytest.approx(copper.get_potential_energy(), abs=1e-6)
    lengths = np.linalg.norm(copper.get_forces(), axis=1)
    np.testing.assert_allclose(np.linalg.norm(forces, axis=1), lengths, atol=1e-6)


def test_energy_is_kept(ethanol: Atoms) -> None:
    calculator = PhysMLCalculator("qm9.pt", device="cpu")
    context = context_of(make_system(ethanol, calculator), ethanol, step=0.2e-3)
    context.setVelocitiesToTemperature(300.0, 1)
    totals = []
    for _ in range(10):
        context.getIntegrator().step(10)
        state = context.getState(getEnergy=True)
        total = state.getPotentialEnergy() + state.getKineticEnergy()
        totals.append(total.value_in_unit(unit.kilojoules_per_mole) * KJ_PER_MOL)
    assert np.ptp(totals) < 0.01


def test_the_same_minimum(ethanol: Atoms) -> None:
    calculator = PhysMLCalculator("qm9.pt", device="cpu")
    context = context_of(make_system(ethanol, calculator), ethanol)
    openmm.LocalEnergyMinimizer.minimize(context, tolerance=0.05)
    energy, _ = energy_and_forces(context)
    ethanol.calc = calculator
    assert energy == pytest.approx(relax(ethanol, fmax=1e-3).energies[-1], abs=1e-4)


def test_some_particles_of_a_system(ethanol: Atoms, tiny_potential: Path) -> None:
    calculator = PhysMLCalculator(tiny_potential, device="cpu")
    system = openmm.System()
    for _ in range(len(ethanol) + 2):
        system.addParticle(12.0)
    system.addForce(make_force(ethanol, calculator, range(2, len(ethanol) + 2)))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(1e-3), platform)
    context.setPositions(np.vstack([np.ones((2, 3)), positions_of(ethanol)]))
    energy, forces = energy_and_forces(context)
    ethanol.calc = calculator
    assert energy == pytest.approx(ethanol.get_potential_energy(), abs=1e-6)
    np.testing.assert_array_equal(forces[:2], 0.0)
    np.testing.assert_allclose(forces[2:], ethanol.get_forces(), atol=1e-6)


def test_what_the_calculator_refuses_stops_openmm(tiny_potential: Path) -> None:
    silane = molecule("SiH4")
    calculator = PhysMLCalculator(tiny_potential, device="cpu")
    with pytest.raises((StructureError, openmm.OpenMMException), match="Si"):
        energy_and_forces(context_of(make_system(silane, calculator), silane))
