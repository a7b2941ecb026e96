"""Frames from and to ASE."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from ase_physml.data.conversion import find_labels, from_atoms, to_atoms
from ase_physml.data.frame import Frame
from ase_physml.errors import DataError


@pytest.fixture
def water() -> Atoms:
    return molecule("H2O")


def test_named_labels_come_before_results(water: Atoms) -> None:
    water.calc = SinglePointCalculator(water, energy=-1.0, forces=np.zeros((3, 3)))
    found = find_labels(water)
    assert (found.energy, found.energy_key, found.forces_key) == (
        -1.0,
        "energy",
        "forces",
    )
    water.info["REF_energy"] = -2.0
    water.arrays["REF_forces"] = np.ones((3, 3))
    found = find_labels(water)
    assert (found.energy, found.energy_key) == (-2.0, "REF_energy")
    assert found.forces_key == "REF_forces"
    assert found.forces is not None
    assert found.forces.sum() == 9.0


@pytest.mark.parametrize("key", ["dft_energy", "energy_DFT", "qm_energy", "Energy"])
def test_usual_names_are_found(water: Atoms, key: str) -> None:
    water.info[key] = np.array([-3.5])
    assert find_labels(water).energy == -3.5


def test_nothing_is_calculated(water: Atoms) -> None:
    water.calc = EMT()
    assert find_labels(water).energy is None
    assert water.calc.results == {}


def test_a_key_can_be_asked_for(water: Atoms) -> None:
    water.info.update({"REF_energy": -2.0, "ccsd": -4.0, "note": "text"})
    water.arrays["ccsd_forces"] = np.ones((3, 3))
    found = find_labels(water, "ccsd", "ccsd_forces")
    assert (found.energy, found.forces_key) == (-4.0, "ccsd_forces")
    assert find_labels(water, "", "").energy is None
    with pytest.raises(DataError, match=r"no key 'mp2'; .*REF_energy, ccsd"):
        find_labels(water, "mp2")
    with pytest.raises(DataError, match="'note' is 'text', not one number"):
        find_labels(water, "note")
    with pytest.raises(DataError, match="one vector per atom"):
        find_labels(water, None, "note")


def test_there_and_back(water: Atoms) -> None:
    water.info |= {"name": "w1", "smiles": "O"}
    water.calc = SinglePointCalculator(water, energy=-1.0, forces=np.eye(3))
    frame = from_atoms(water)
    back = to_atoms(frame)
    assert (frame.name, frame.smiles, frame.cell, frame.pbc) == ("w1", "O", None, None)
    np.testing.assert_array_equal(back.positions, water.positions)
    assert back.get_potential_energy() == -1.0
    np.testing.assert_array_equal(back.get_forces(), np.eye(3))
    assert back.info == {"name": "w1", "smiles": "O"}
    assert to_atoms(frame, labels=False).calc is None


def test_cells_are_kept() -> None:
    slab = Atoms("Cu", [[0, 0, 0]], cell=[3, 3, 20], pbc=[True, True, False])
    frame = from_atoms(slab)
    back = to_atoms(frame)
    np.testing.assert_array_equal(back.cell.array, slab.cell.array)
    assert back.pbc.tolist() == [True, True, False]


def test_a_frame_owns_its_arrays(water: Atoms) -> None:
    frame: Frame = from_atoms(water)
    water.positions += 1.0
    assert not np.allclose(frame.positions, water.positions)
