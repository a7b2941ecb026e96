"""The generic force field: where its minimum is, and how stiff it is."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.data import covalent_radii
from torch import Tensor

from ase_physml.training.valence import ValenceField

NAMES = ["CH4", "C2H4", "C6H6", "H2CO", "CH3CONH2", "C2H2", "CH3CN", "cyclobutane"]


def build(name: str) -> tuple[ValenceField, Tensor]:
    atoms = molecule(name)
    # Nothing in nature is exactly linear or planar.
    shake = np.random.default_rng(0).normal(size=atoms.positions.shape)
    positions = torch.tensor(atoms.positions + 0.002 * shake)[None]
    numbers = torch.tensor(atoms.numbers)[None]
    radii = torch.tensor(covalent_radii[atoms.numbers])[None]
    return ValenceField(positions, numbers, radii), positions


@pytest.mark.parametrize("name", NAMES)
def test_at_rest_where_it_was_built(name: str) -> None:
    field, rest = build(name)
    energy, forces = field.energies_and_forces(rest)
    assert energy.item() == 0.0
    assert forces.abs().max().item() == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_forces_are_the_gradient(name: str) -> None:
    field, rest = build(name)
    random = torch.Generator().manual_seed(0)
    moved = rest + 0.2 * torch.randn(rest.shape, generator=random, dtype=rest.dtype)
    direction = torch.randn(rest.shape, generator=random, dtype=rest.dtype)
    ahead, _ = field.energies_and_forces(moved + 1e-5 * direction)
    behind, _ = field.energies_and_forces(moved - 1e-5 * direction)
    _, forces = field.energies_and_forces(moved)
    slope = (ahead - behind).item() / 2e-5
    assert slope == pytest.approx(-(forces * direction).sum().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["CH4", "C2H4", "C6H6", "H2CO", "CH3CONH2"])
def test_hessian_is_that_of_the_energy(name: str) -> None:
    field, rest = build(name)
    size = rest.numel()
    hessian = field.hessian()[0] - 0.05 * torch.eye(size, dtype=rest.dtype)
    shift = 1e-5 * torch.randn(
        rest.shape, generator=torch.Generator().manual_seed(1), dtype=rest.dtype
    )
    _, forces = field.energies_and_forces(rest + shift)
    torch.testing.assert_close(
        hessian @ shift.flatten(), -forces.flatten(), rtol=2e-3, atol=2e-6
    )


def test_rigid_motion_costs_nothing() -> None:
    field, rest = build("CH3CONH2")
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=rest.dtype))
    turn = turn * torch.linalg.det(turn)
    energy, _ = field.energies_and_forces(rest @ turn.T + 1.0)
    assert energy.item() == pytest.approx(0.0, abs=1e-12)


def test_linear_angles_resist_bending_both_ways() -> None:
    field, rest = build("C2H2")
    values = torch.linalg.eigvalsh(field.hessian()[0])
    # Twelve coordinates; three translations and two rotations cost nothing, a linear
    # molecule has no torsion, and every one of the four bendings costs something.
    assert (values < 0.06).sum().item() == 5
    assert values[5] > 0.3
    assert rest.isfinite().all()


def test_soft_and_stiff_modes_are_those_of_gfn2_xtb() -> None:
    pytest.importorskip("tblite")
    from ase_physml.calculators.names import make_calculator

    ratios = []
    for name in ("CH3CONH2", "CH3CH2OH", "C6H6", "CH3CN"):
        field, rest = build(name)
        atoms = molecule(name)
        atoms.positions = rest[0].numpy()
        atoms.calc = make_calculator("tblite:GFN2-xTB")
        true = numerical_hessian(atoms)
        values, modes = np.linalg.eigh(true)
        ours = np.einsum("ik,ij,jk->k", modes, field.hessian()[0].numpy(), modes)
        real = values > 0.3
        ratios.append(ours[real] / values[real])
    ratio = np.concatenate(ratios)
    assert 0.8 < np.median(ratio) < 1.4
    assert np.quantile(ratio, 0.9) < 2.5
    assert np.quantile(ratio, 0.1) > 0.5


def numerical_hessian(atoms: Atoms) -> np.ndarray:
    """Central differences of the forces, eV/Å^2."""
    rest, rows = atoms.positions.copy(), []
    for i in range(rest.size):
        forces = []
        for sign in (1.0, -1.0):
            step = np.zeros(rest.size)
            step[i] = sign * 1e-3
            atoms.positions = rest + step.reshape(rest.shape)
            forces.append(atoms.get_forces().ravel())
        rows.append((forces[1] - forces[0]) / 2e-3)
    hessian = np.array(rows)
    return 0.5 * (hessian + hessian.T)
