"""Thermochemistry and symmetry numbers."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.constraints import FixAtoms
from ase.thermochemistry import IdealGasThermo
from surfaces import Quadratic

from ase_physml.errors import StructureError
from ase_physml.workflows.vibrations.normal_modes import Vibrations, vibrations_many
from ase_physml.workflows.vibrations.symmetry import symmetry_number
from ase_physml.workflows.vibrations.thermochemistry import (
    Conditions,
    LowModes,
    thermochemistry,
)

KNOWN = {
    "H2O": 2, "NH3": 3, "CH4": 12, "C6H6": 12, "C2H4": 4, "C2H6": 6, "CO2": 2,
    "HCN": 1, "CH3OH": 1, "H2": 2, "C2H2": 2, "cyclobutane": 4, "bicyclobutane": 2,
}  # fmt: skip


@pytest.mark.parametrize(("name", "number"), KNOWN.items())
def test_symmetry_numbers_of_the_books(name: str, number: int) -> None:
    atoms = molecule(name)
    atoms.rotate(33, (1, 2, 3))
    atoms.rattle(0.01, seed=0)  # as relaxed as structures are
    assert symmetry_number(atoms) == number


def test_isotopes_are_other_atoms() -> None:
    methane = molecule("CH4")
    masses = methane.get_masses()
    masses[1] = 2.014
    methane.set_masses(masses)
    assert symmetry_number(methane) == 3
    assert symmetry_number(Atoms("He")) == 1


def vibrate(atoms: Atoms, matrix: np.ndarray, shift: float = 0.0) -> Vibrations:
    (found,) = vibrations_many(atoms, Quadratic(atoms.positions + shift, matrix))
    assert isinstance(found, Vibrations)
    return found


def test_a_molecule_is_the_gas_of_ase() -> None:
    found = vibrate(molecule("CH4"), 20.0 * np.eye(15))
    got = thermochemistry(found, Conditions(350.0, 2e5))
    quanta = found.frequencies * units.invcm
    gas = IdealGasThermo(quanta, "nonlinear", 0.0, molecule("CH4"), 12, 0)
    assert got.conditions.symmetry_number == 12
    assert "symmetry number 12, found" in got.remarks[0]
    assert got.enthalpy == pytest.approx(gas.get_enthalpy(350.0, False))
    assert got.free_energy == pytest.approx(gas.get_gibbs_energy(350.0, 2e5, False))
    # One that is stated is taken as it is, and makes the entropy R ln 12 larger.
    stated = thermochemistry(found, Conditions(350.0, 2e5, symmetry_number=1))
    more = stated.entropy - got.entropy
    assert more == pytest.approx(units.kB * np.log(12.0))
    assert stated.remarks == ()


def test_entropy_of_low_modes() -> None:
    atoms = molecule("H2O")
    found = vibrate(atoms, 0.003 * np.eye(9))
    assert (found.frequencies < 100.0).all()
    by = {low: thermochemistry(found, Conditions(low_modes=low)) for low in LowModes}
    plain, truhlar = by[LowModes.harmonic], by[LowModes.truhlar]
    assert any("3 modes below 100 cm-1" in one for one in plain.remarks)
    assert by[LowModes.grimme].entropy < plain.entropy
    raised = vibrate(atoms, 0.003 * np.eye(9))
    raised.frequencies[:] = 100.0
    assert truhlar.entropy == pytest.approx(thermochemistry(raised).entropy)
    assert len({one.enthalpy for one in by.values()}) == 1


def test_what_is_held_only_vibrates() -> None:
    atoms = molecule("H2O")
    atoms.set_constraint(FixAtoms([0]))
    got = thermochemistry(vibrate(atoms, 5.0 * np.eye(9)))
    assert "no translation or rotation" in got.remarks[0]
    assert got.entropy < 1e-4


def test_saddles_and_what_is_no_stationary_point() -> None:
    matrix = 20.0 * np.eye(15)
    direction = np.zeros(15)
    direction[[3, 6]] = 1.0, -1.0
    direction /= np.linalg.norm(direction)
    saddle = vibrate(molecule("CH4"), matrix - 30.0 * np.outer(direction, direction))
    got = thermochemistry(saddle, Conditions(symmetry_number=1))
    assert "of a saddle: the mode of" in got.remarks[0]
    with pytest.raises(
        StructureError, match=r"no thermochemistry: not at a stat.*0\.17"
    ):
        thermochemistry(vibrate(molecule("CH4"), np.eye(15), shift=0.1))
    with pytest.raises(StructureError, match="imaginary modes"):
        thermochemistry(vibrate(molecule("CH4"), -np.eye(15)))
    for wrong in (Conditions(0.0), Conditions(symmetry_number=0)):
        with pytest.raises(StructureError, match=r"temperature|symmetry"):
            thermochemistry(saddle, wrong)
