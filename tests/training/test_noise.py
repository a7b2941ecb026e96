"""Displacements, and the harmonic network that says where they came from."""

import pytest
import torch
from torch import Generator, Tensor

from ase_physml.training.noise import (
    Noise,
    settle,
    spring_constants,
    spring_energy_and_forces,
)

METHANE = torch.tensor(
    [[0.0, 0, 0], [1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]],
    dtype=torch.float64,
) * torch.tensor([[0.0], [0.63], [0.63], [0.63], [0.63]], dtype=torch.float64)
RADII = torch.tensor([[0.76, 0.31, 0.31, 0.31, 0.31]], dtype=torch.float64)


def displaced(deviation: float, seed: int = 0) -> Tensor:
    generator = Generator().manual_seed(seed)
    shape = (1, *METHANE.shape)
    normal = torch.randn(shape, generator=generator, dtype=torch.float64)
    return METHANE[None] + deviation * normal


def test_network_is_at_rest_at_equilibrium() -> None:
    energy, forces = spring_energy_and_forces(METHANE[None], METHANE[None], RADII)
    assert energy.item() == 0.0
    assert forces.abs().max().item() == 0.0


def test_network_forces_are_its_gradient() -> None:
    positions = displaced(0.1).requires_grad_()
    energy, forces = spring_energy_and_forces(positions, METHANE[None], RADII)
    (gradient,) = torch.autograd.grad(energy.sum(), positions)
    torch.testing.assert_close(forces, -gradient)


def test_network_does_not_feel_rigid_motion() -> None:
    turned = METHANE @ torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0] + 2.0
    energy, _ = spring_energy_and_forces(turned[None], METHANE[None], RADII)
    assert energy.item() == pytest.approx(0.0, abs=1e-12)


def test_bonds_follow_badgers_rule() -> None:
    single = torch.tensor([[0.76, 0.76]])

    def stiffness(distance: float) -> float:
        matrix = torch.tensor([[[0.0, distance], [distance, 0.0]]])
        return spring_constants(matrix, single)[0, 0, 1].item()

    assert stiffness(1.52) == pytest.approx(30.0, rel=0.01)
    assert 60 < stiffness(1.33) < 75  # a double bond
    assert stiffness(2.5) < 3.0


def test_settling_undoes_stretch_and_keeps_what_is_soft() -> None:
    start = displaced(0.1)
    steps = torch.tensor([20])
    energies = [
        spring_energy_and_forces(p, METHANE[None], RADII)[0].item()
        for p in (start, settle(start, METHANE[None], RADII, steps))
    ]
    assert 0 < energies[1] < 0.1 * energies[0]


def test_each_molecule_settles_by_its_own_steps() -> None:
    start = torch.cat([displaced(0.1), displaced(0.1)])
    rest, radii = METHANE.expand(2, -1, -1), RADII.expand(2, -1)
    moved = settle(start, rest, radii, torch.tensor([0, 3]))
    assert torch.equal(moved[0], start[0])
    assert not torch.equal(moved[1], start[1])


def test_sample_is_reproducible_and_has_the_amplitude_it_says() -> None:
    positions = torch.zeros(500, 20, 3)
    radii = torch.ones(500, 20)
    shifts = [
        Noise(0.5, 1.0).sample(positions, radii, Generator().manual_seed(3))
        for _ in range(2)
    ]
    (shift, deviation), (again, _) = shifts
    assert torch.equal(shift, again)
    assert deviation.max() <= 0.5
    measured = shift.std(dim=(1, 2))
    assert (measured / deviation).mean().item() == pytest.approx(1.0, abs=0.02)


def test_power_zero_is_one_amplitude_for_all() -> None:
    noise = Noise(0.5, 0.0)
    positions = torch.zeros(5, 3, 3)
    _, deviation = noise.sample(positions, torch.ones(5, 3), Generator())
    assert torch.equal(deviation, torch.full((5,), 0.5))
