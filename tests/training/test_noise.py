"""Displacements: the amplitude they say, and energy shared evenly among modes."""

import pytest
import torch
from torch import Generator

from ase_physml.training.noise import Noise

LIKE = torch.zeros(4000, 2, 3, dtype=torch.float64)


def test_gaussian_noise_has_the_amplitude_it_says() -> None:
    fixed = Noise(0.5, 0.0).sample(None, LIKE, Generator().manual_seed(3))
    assert fixed.std().item() == pytest.approx(0.5, abs=0.01)
    # The mean square of sigma * u over uniform u is sigma^2 / 3.
    drawn = Noise(0.5, 1.0).sample(None, LIKE, Generator().manual_seed(3))
    assert drawn.square().mean().item() == pytest.approx(0.25 / 3, rel=0.05)


def test_noise_is_reproducible() -> None:
    first, again = (
        Noise(0.5).sample(None, LIKE, Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first, again)


def test_thermal_noise_gives_every_mode_the_same_energy() -> None:
    stiffness = torch.tensor([0.1, 0.5, 2.0, 10.0, 40.0, 80.0], dtype=torch.float64)
    turn, _ = torch.linalg.qr(
        torch.randn(6, 6, generator=Generator().manual_seed(0), dtype=torch.float64)
    )
    hessian = (turn * stiffness) @ turn.T
    noise = Noise(thermal=0.04, thermal_share=1.0)
    shift = noise.sample(hessian.expand(4000, 6, 6), LIKE, Generator().manual_seed(1))
    modes = shift.reshape(-1, 6) @ turn
    # <k x^2> = kT, and kT = 0.04 u averages 0.02.
    energies = (stiffness * modes.square()).mean(0)
    torch.testing.assert_close(
        energies, torch.full_like(energies, 0.02), rtol=0.12, atol=0.0
    )


def test_share_of_thermal_molecules() -> None:
    stiff = 1e12 * torch.eye(6, dtype=torch.float64).expand(4000, 6, 6)
    noise = Noise(0.5, 0.0, thermal_share=0.25)
    shift = noise.sample(stiff, LIKE, Generator().manual_seed(0))
    still = (shift.abs() < 1e-3).all(2).all(1)
    assert still.double().mean().item() == pytest.approx(0.25, abs=0.03)


def test_settling_brings_stiff_modes_to_rest_first() -> None:
    stiffness = torch.tensor([0.1, 0.5, 2.0, 10.0, 40.0, 80.0], dtype=torch.float64)
    hessian = torch.diag(stiffness).expand(4000, 6, 6)
    shifts = [
        Noise(thermal=0.04, thermal_share=1.0, settled=settled).sample(
            hessian, LIKE, Generator().manual_seed(1)
        )
        for settled in (False, True)
    ]
    left = shifts[1].square().mean(0).flatten() / shifts[0].square().mean(0).flatten()
    assert (left.diff() < 0).all()
    assert left[0] > 0.6
    assert left[-1] < 0.4
    # By another threshold in each molecule, never beyond where it was.
    assert (shifts[1].abs() <= shifts[0].abs()).all()
