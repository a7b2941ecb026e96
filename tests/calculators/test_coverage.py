"""Structures that training has not seen: said once, by the pair that is farthest."""

import warnings
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from ase_physml import PhysMLCalculator
from ase_physml.calculators.coverage import unseen_distance
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.store.checkpoint import load_potentials, save_model
from ase_physml.training.batches import FrameStore
from ase_physml.training.coverage import shortest_distances

SEEN = {"H-H": 1.5, "H-O": 0.95}


def test_distances_of_a_set(tmp_path: Path) -> None:
    structures = [molecule("H2O"), molecule("CO2"), Atoms("HN", [[0, 0, 0], [0, 0, 9]])]
    structures[1].positions *= 1.1
    frames = [Frame(a.numbers, a.positions, energy=0.0) for a in structures]
    write(tmp_path / "set.h5", frames, Metadata("toy", equilibrium=True))
    data = RaggedSet(tmp_path / "set.h5")
    found = shortest_distances([FrameStore(data, np.array([0, 1, 2]))])
    water, dioxide = structures[:2]
    assert found == {
        "C-O": pytest.approx(dioxide.get_distance(0, 1), abs=1e-3),
        "H-H": pytest.approx(water.get_distance(1, 2), abs=1e-3),
        "H-O": pytest.approx(water.get_distance(0, 1), abs=1e-3),
        "O-O": pytest.approx(dioxide.get_distance(1, 2), abs=1e-3),
    }
    # Frames that do not train do not count.
    assert "C-O" not in shortest_distances([FrameStore(data, np.array([0]))])


def test_what_is_too_near() -> None:
    water = molecule("H2O")
    assert unseen_distance(water, SEEN) == ""
    assert unseen_distance(water, {}) == ""
    water.set_distance(0, 1, 0.7, fix=0)
    said = unseen_distance(water, SEEN)
    assert said.startswith("atoms 0 (O) and 1 (H) are 0.70 Å apart")
    assert "0.95 Å and more" in said


def test_elements_that_never_met() -> None:
    both = Atoms("OCl", [[0, 0, 0], [0, 0, 3.4]])
    assert "has not seen together" in unseen_distance(both, SEEN)
    both.positions[1, 2] = 3.6
    assert unseen_distance(both, SEEN) == ""


@pytest.fixture
def potential(tiny_potential: Path, tmp_path: Path) -> Path:
    (network, *_), card = load_potentials(tiny_potential)
    path = tmp_path / "seen.pt"
    save_model(path, network, replace(card, shortest=SEEN))
    return path


def test_it_is_said_once(potential: Path) -> None:
    calculator = PhysMLCalculator(potential)
    water = molecule("H2O")
    near = water.copy()
    near.set_distance(0, 1, 0.7, fix=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calculator.calculate_many([water])
    # The first of a composition is looked at: what follows are its steps.
    other = PhysMLCalculator(potential)
    with pytest.warns(UserWarning, match=r"seen\.pt: atoms 0 \(O\).*tblite:GFN2-xTB"):
        other.calculate_many([near])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        deepcopy(other).calculate_many([near])
