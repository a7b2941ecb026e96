"""Vibrations: frequencies, modes, intensities, and what they are worth."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.constraints import FixAtoms
from ase.io import read
from surfaces import Bonds, Quadratic

from ase_physml.workflows.plots import plot_spectrum
from ase_physml.workflows.vibrations.files import (
    write_modes,
    write_molden,
    write_numbers,
)
from ase_physml.workflows.vibrations.normal_modes import Vibrations, vibrations_many
from ase_physml.workflows.vibrations.thermochemistry import thermochemistry


def vibrate(atoms: Atoms, calculator: Bonds | Quadratic) -> Vibrations:
    (found,) = vibrations_many(atoms, calculator)
    assert isinstance(found, Vibrations)
    return found


def test_a_diatomic_of_known_stiffness() -> None:
    found = vibrate(Atoms("HF", [[0, 0, 0], [0, 0.6, 0.8]]), Bonds([(0, 1, 1.0)], 50.0))
    masses = found.atoms.get_masses()
    reduced = masses.prod() / masses.sum()
    assert found.shape == "linear" and len(found.frequencies) == 1
    # The textbook: a circular frequency of the root of k/mu, over c.
    stiffness = 50.0 * units._e * 1e20
    circular = np.sqrt(stiffness / (reduced * units._amu))
    expected = circular / (2.0 * np.pi * units._c * 100.0)
    assert found.frequencies[0] == pytest.approx(expected, rel=1e-4)
    assert found.zero_point_energy == pytest.approx(
        0.5 * expected * units.invcm, rel=1e-4
    )
    # The lighter atom moves more, by the ratio of the masses.
    ratio = np.linalg.norm(found.modes[0], axis=1)
    assert ratio[0] / ratio[1] == pytest.approx(masses[1] / masses[0], rel=1e-6)
    assert found.remarks == ()


def test_intensity_of_a_dipole_that_moves_along() -> None:
    pair = Atoms("HF", [[0, 0, 0], [0, 0, 1.0]])
    along = np.zeros((6, 6))
    along[np.ix_([2, 5], [2, 5])] = 50.0 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    found = vibrate(pair, Quadratic(pair.positions.copy(), along))
    # Charges of +1 and -1 e: the dipole changes by 1 e for each Å that the bond does;
    # 974.88 km/mol is (1 e)^2/amu, of any text.
    masses = pair.get_masses()
    expected = 974.88 / (masses.prod() / masses.sum())
    assert found.intensities is not None
    assert found.intensities[-1] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("name", "modes"), [("CO2", 4), ("H2O", 3), ("CH4", 9)])
def test_how_many_there_are(name: str, modes: int) -> None:
    atoms = molecule(name)
    matrix = np.eye(3 * len(atoms))
    found = vibrate(atoms, Quadratic(atoms.positions.copy(), matrix))
    assert len(found.frequencies) == modes == len(found.modes)
    np.testing.assert_allclose(np.linalg.norm(found.modes, axis=(1, 2)), 1.0)


def test_a_lone_atom_has_none() -> None:
    found = vibrate(Atoms("O"), Quadratic(np.zeros((1, 3)), np.eye(3)))
    assert found.shape == "monatomic" and len(found.frequencies) == 0
    assert found.zero_point_energy == 0.0


def test_what_is_held_keeps_all_motions_of_the_rest() -> None:
    atoms = molecule("H2O")
    atoms.set_constraint(FixAtoms([0]))
    found = vibrate(atoms, Quadratic(atoms.positions.copy(), 3.0 * np.eye(9)))
    assert found.shape == "held" and len(found.frequencies) == 6
    assert (found.modes[:, 0] == 0.0).all()


def test_forces_that_are_left_and_imaginary_modes_are_said() -> None:
    atoms = molecule("H2O")
    matrix = -np.eye(9)
    found = vibrate(atoms, Quadratic(atoms.positions + 0.1, matrix))
    force, wrong = found.remarks
    assert "not at a stationary point: the largest force is 0.173" in force
    assert "relax it" in force
    count = len(found.imaginary)
    assert count and f"{count} imaginary modes: " in wrong and "i" in wrong
    assert (found.frequencies[:count] < 0.0).all()


def test_files(tmp_path: Path) -> None:
    atoms = molecule("H2O")
    found = vibrate(atoms, Quadratic(atoms.positions.copy(), 9.0 * np.eye(9)))
    write_molden(tmp_path / "a.molden", found)
    text = (tmp_path / "a.molden").read_text().split("\n")
    assert [line for line in text if line.startswith("[")] == [
        "[Molden Format]", "[FREQ]", "[INT]", "[FR-COORD]", "[FR-NORM-COORD]",
    ]  # fmt: skip
    assert float(text[2]) == pytest.approx(found.frequencies[0], abs=1e-3)
    assert sum(line.startswith("vibration") for line in text) == 3
    write_modes(tmp_path / "a.traj", found)
    frames = read(tmp_path / "a.traj", ":")
    assert len(frames) == 3 * 16
    last = [f for f in frames if f.info["mode"] == 2]
    assert last[0].info["frequency"] == pytest.approx(found.frequencies[2])
    shift = last[4].positions - atoms.positions
    assert np.linalg.norm(shift, axis=1).max() == pytest.approx(0.3)
    np.testing.assert_allclose(shift / np.linalg.norm(shift), found.modes[2], atol=1e-9)
    write_numbers(tmp_path / "a.json", found, thermochemistry(found), {"of": "a"})
    stored = json.loads((tmp_path / "a.json").read_text())
    assert stored["thermochemistry"]["conditions"]["symmetry_number"] == 2
    plot_spectrum(found, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
