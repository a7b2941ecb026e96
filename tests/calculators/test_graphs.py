"""Where a structure lies is no matter, in any precision."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import graphene, molecule
from ase.md.verlet import VelocityVerlet
from ase.units import fs

from ase_physml import PhysMLCalculator

FAR = np.array([1e6, -3e6, 2e6])
# Of rounding in the positions themselves, which are float64: 5e-10 Å at 3e6 Å.
TOLERANCE = {"float64": 1e-6, "float32": 2e-3}


def ethanol() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=0)
    return atoms


def crystal() -> Atoms:
    atoms = ethanol()
    atoms.set_cell([[5, 0, 0], [1, 6, 0], [0, -2, 7]])
    atoms.pbc = True
    return atoms


def left_handed() -> Atoms:
    atoms = crystal()
    atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    return atoms


def sheet() -> Atoms:
    atoms = graphene(size=(2, 2, 1))
    atoms.rattle(0.05, seed=0)
    return atoms


def large() -> Atoms:
    atoms = Atoms()
    for k in range(20):
        one = molecule("CH3OH")
        one.positions[:, 0] += 4.0 * k
        atoms += one
    return atoms


def anywhere(atoms: Atoms) -> Atoms:
    """Each atom of a cell in an image of its own."""
    periodic = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    rng = np.random.default_rng(0)
    images = rng.integers(-(10**5), 10**5, (len(atoms), 3))
    moved = atoms.copy()
    moved.positions += images @ periodic
    return moved


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("make", [ethanol, crystal, left_handed, sheet, large])
def test_far_from_the_origin(
    tiny_potential: Path, make: Callable[[], Atoms], dtype: str
) -> None:
    calculator = PhysMLCalculator(tiny_potential, device="cpu", dtype=dtype)  # type: ignore[arg-type]
    atoms = make()
    (expected,) = calculator.calculate_many([atoms])
    moved = atoms.copy()
    moved.positions += FAR
    for other in (moved, anywhere(atoms), anywhere(moved)):
        found = calculator.calculate_many([other])[0]
        assert found.keys() == expected.keys()
        for name in ("energy", "forces", "stress"):
            if name in expected:
                error = np.abs(found[name] - expected[name]).max()
                assert error < TOLERANCE[dtype], name


@pytest.mark.filterwarnings("ignore")
def test_vibrating_about_a_lattice_site_searches_no_more(tiny_potential: Path) -> None:
    """An atom at the corner of a far cell crosses its faces at every step."""
    calculator = PhysMLCalculator(tiny_potential, device="cpu")
    atoms = crystal()
    atoms.positions += 50 * atoms.cell.array[0] - atoms.positions[0]
    atoms.calc = calculator
    for sign in (1, -1, 1, -1):
        atoms.positions[0] += sign * 0.02
        atoms.positions[0] -= sign * 0.04 * (sign < 0)
        atoms.get_forces()
    assert calculator.neighbours.searches == 1


@pytest.mark.filterwarnings("ignore")
def test_dynamics_across_the_faces(tiny_potential: Path) -> None:
    """Atoms that fly through many cells feel what they would in the first."""
    calculator = PhysMLCalculator(tiny_potential, device="cpu")
    atoms = crystal()
    atoms.calc = calculator
    velocity = atoms.cell.array[0] / (1.7 * fs)
    atoms.set_velocities(np.tile(velocity, (len(atoms), 1)))
    with VelocityVerlet(atoms, 1.0 * fs, logfile=None) as dynamics:
        dynamics.run(12)
    still = atoms.copy()
    still.wrap()
    (expected,) = calculator.calculate_many([still])
    np.testing.assert_allclose(atoms.get_forces(), expected["forces"], atol=1e-7)
