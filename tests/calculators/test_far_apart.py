"""What qm9.pt says of neutral molecules next to each other: nothing, from afar."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from ase_physml import PhysMLCalculator

PAIRS = [("H2O", "H2O"), ("C6H6", "C6H6"), ("CH3OH", "NH3"), ("CH4", "CH3CH2OCH3")]


@pytest.fixture(scope="module")
def calculator() -> PhysMLCalculator:
    return PhysMLCalculator("qm9.pt", device="cpu")


def pair(names: tuple[str, str], apart: float) -> Atoms:
    """Two molecules, their nearest atoms so far apart along x, in Å."""
    one, other = map(molecule, names)
    shift = one.positions[:, 0].max() - other.positions[:, 0].min() + apart
    other.positions[:, 0] += shift
    both: Atoms = one + other
    return both


def energies(calculator: PhysMLCalculator, structures: list[Atoms]) -> np.ndarray:
    return np.array([one["energy"] for one in calculator.calculate_many(structures)])


@pytest.mark.parametrize("names", PAIRS, ids=str)
def test_molecules_beyond_twelve_angstrom_hardly_interact(
    calculator: PhysMLCalculator, names: tuple[str, str]
) -> None:
    alone = energies(calculator, [molecule(name) for name in names]).sum()
    apart = energies(calculator, [pair(names, d) for d in (12.5, 15.0, 20.0)])
    assert np.abs(apart - alone).max() < 5e-3


def test_a_box_of_growing_vacuum_tends_to_the_free_molecule(
    calculator: PhysMLCalculator,
) -> None:
    free = molecule("CH3CH2OH")
    boxes = []
    for size in (16.0, 24.0, 36.0):
        box = free.copy()
        box.set_cell([size] * 3)
        box.center()
        box.pbc = True
        boxes.append(box)
    off = np.abs(energies(calculator, boxes) - energies(calculator, [free]))
    assert off[0] > off[1] > off[2]
    assert off[2] < 1e-3


def test_nothing_jumps_where_attention_ends(calculator: PhysMLCalculator) -> None:
    """Bends of the energy stay those of a smooth curve across 5 Å."""
    step = 0.02
    places = np.arange(4.0, 6.0, step)
    curve = energies(calculator, [pair(("H2O", "CH3OH"), d) for d in places])
    bend = np.diff(curve, 2) / step**2
    assert np.abs(np.diff(bend)).max() < 0.2 * max(1.0, np.abs(bend).max())
