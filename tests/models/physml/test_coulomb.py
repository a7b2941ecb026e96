"""Charges of atoms: neutral parts, multipoles far apart, Ewald's sum in cells."""

import math

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch import Tensor

from ase_physml import PhysMLCalculator
from ase_physml.errors import StructureError
from ase_physml.graph import AllPairs
from ase_physml.models.energy_model import energy_and_forces
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.coulomb import (
    coulomb_kernel,
    reciprocal_energies,
    screened,
)
from ase_physml.models.physml.model import PhysML

SMALL = PhysMLConfig(
    width=16, depth=2, heads=4, n_basis=8, cutoff=4.0, pair_cutoff=9.0,
    pair_terms="physical",
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> PhysML:
    torch.manual_seed(0)
    model = PhysML(SMALL).double()
    with torch.no_grad():
        assert model.charges is not None
        model.charges.flow.weight.mul_(10.0)
    return model


def graph_of(atoms: Atoms) -> AllPairs:
    numbers = torch.as_tensor(atoms.numbers.astype(np.int64))
    return AllPairs(numbers[None], torch.as_tensor(atoms.positions)[None])


def two(gap: float) -> Atoms:
    one, other = molecule("H2O"), molecule("CH3OH")
    other.positions[:, 0] += gap
    return one + other


def charges_of(model: PhysML, atoms: Atoms) -> Tensor:
    found: Tensor = model(graph_of(atoms)).charges
    return found[0].detach()


def test_every_part_is_neutral(model: PhysML) -> None:
    charges = charges_of(model, two(12.0))
    assert float(charges.abs().max()) > 0.01
    assert charges[:3].sum().item() == pytest.approx(0.0, abs=1e-12)
    assert charges[3:].sum().item() == pytest.approx(0.0, abs=1e-12)


def test_charges_start_at_electronegativity() -> None:
    """Oxygen takes from its hydrogens before anything is learned."""
    torch.manual_seed(1)
    charges = charges_of(PhysML(SMALL).double(), molecule("H2O"))
    assert charges[0] < -0.1 and (charges[1:] > 0.05).all()


def test_far_molecules_meet_as_multipoles(model: PhysML) -> None:
    """Neutral parts: 1/d^3 or faster, where free charge products leave 1/d."""

    def interaction(gap: float) -> float:
        both = float(model(graph_of(two(gap))).molecules.detach())
        apart = sum(
            float(model(graph_of(part)).molecules.detach())
            for part in (molecule("H2O"), molecule("CH3OH"))
        )
        return both - apart

    near, far = interaction(20.0), interaction(40.0)
    assert abs(near) < 5e-3
    assert abs(far) < abs(near) / 6.0 + 1e-9


def test_forces_are_the_gradient(model: PhysML) -> None:
    atoms = molecule("CH3OH")
    _, forces = energy_and_forces(model, graph_of(atoms))
    step = 1e-4
    for i, axis in ((0, 0), (2, 1), (5, 2)):
        ends = []
        for sign in (-1.0, 1.0):
            moved = atoms.copy()
            moved.positions[i, axis] += sign * step
            ends.append(float(model(graph_of(moved)).molecules.detach()))
        slope = (ends[1] - ends[0]) / (2.0 * step)
        assert float(forces[0, i, axis]) == pytest.approx(-slope, abs=1e-6)


def test_overlapping_charges_are_finite() -> None:
    distance = torch.tensor([1e-6, 5.0], dtype=torch.float64)
    widths = torch.full((2,), 0.5, dtype=torch.float64)
    kernel = coulomb_kernel(distance, widths, widths)
    assert kernel[0].item() == pytest.approx(2.0 / math.sqrt(math.pi), rel=1e-6)
    assert kernel[1].item() == pytest.approx(1.0 / 5.0, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.4, 0.6])
def test_madelung_constant_of_rock_salt(alpha: float) -> None:
    """Real and reciprocal parts of Ewald's sum, at two ways of splitting it."""
    salt = bulk("NaCl", "rocksalt", a=4.0, cubic=True)
    charges = torch.as_tensor(np.where(salt.numbers == 11, 1.0, -1.0))
    cell = torch.as_tensor(salt.cell.array)
    far = reciprocal_energies(torch.as_tensor(salt.positions), charges, cell, alpha)
    wide = salt.repeat((7, 7, 7))
    centre = int(np.linalg.norm(wide.positions - 12.0, axis=1).argmin())
    away = wide.positions - wide.positions[centre]
    gaps = torch.as_tensor(np.linalg.norm(away, axis=1))
    signs = torch.as_tensor(np.where(wide.numbers == 11, 1.0, -1.0))
    gaps[centre] = torch.inf
    inside = gaps < 12.0
    direct = 1.0 / gaps[inside] - screened(gaps[inside], alpha)
    near = 0.5 * (signs[centre] * signs[inside] * direct).sum()
    # Energy per ion of unit charge at a distance of 2 Å: half of -M/2 for a pair.
    assert float(near + far[0]) == pytest.approx(-1.7475646 / 4.0, abs=1e-5)


def test_a_growing_box_tends_to_the_free_molecule(model: PhysML) -> None:
    atoms = molecule("H2O")
    atoms.calc = PhysMLCalculator(model, device="cpu")
    free = atoms.get_potential_energy()
    gaps = []
    for edge in (12.0, 24.0):
        boxed = atoms.copy()
        boxed.set_cell([edge] * 3)
        boxed.pbc = True
        boxed.calc = atoms.calc
        gaps.append(abs(boxed.get_potential_energy() - free))
    assert gaps[0] < 5e-3
    assert gaps[1] < gaps[0] / 6.0 + 1e-9


def test_stress_is_the_strain_derivative(model: PhysML) -> None:
    atoms = molecule("H2O")
    atoms.set_cell([[5.0, 0, 0], [1.0, 5.5, 0], [0, -1.0, 6.0]])
    atoms.pbc = True
    atoms.calc = PhysMLCalculator(model, device="cpu")
    stress = atoms.get_stress(voigt=False)
    step = 1e-4
    ends = []
    for sign in (-1.0, 1.0):
        strained = atoms.copy()
        strain = np.eye(3)
        strain[0, 1] += sign * step / 2
        strain[1, 0] += sign * step / 2
        strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        strained.calc = atoms.calc
        ends.append(strained.get_potential_energy())
    slope = (ends[1] - ends[0]) / (2.0 * step) / atoms.get_volume()
    assert stress[0, 1] == pytest.approx(slope, abs=1e-7)


def test_charges_and_dipole_reach_ase(model: PhysML) -> None:
    atoms = molecule("CH3OH")
    atoms.positions += 3.0
    atoms.calc = PhysMLCalculator(model, device="cpu")
    charges = charges_of(model, atoms).numpy()
    np.testing.assert_allclose(atoms.get_charges(), charges, atol=1e-9)
    expected = charges @ (atoms.positions - atoms.positions.mean(0))
    np.testing.assert_allclose(atoms.get_dipole_moment(), expected, atol=1e-9)


def test_wires_and_slabs_are_refused(model: PhysML) -> None:
    atoms = molecule("H2O")
    atoms.set_cell([8.0, 8.0, 8.0])
    atoms.pbc = (True, True, False)
    atoms.calc = PhysMLCalculator(model, device="cpu")
    with pytest.raises(StructureError, match="add vacuum"):
        atoms.get_potential_energy()
