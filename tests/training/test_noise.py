"""Displacements: the amplitude they say, and energy shared evenly among modes."""

import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.data import covalent_radii
from torch import Generator

from ase_physml.training.displacement import Noise, follow, relax_stiff
from ase_physml.training.distributed import Draws
from ase_physml.training.valence import ValenceField

LIKE = torch.zeros(4000, 2, 3, dtype=torch.float64)


def test_gaussian_noise_has_the_amplitude_it_says() -> None:
    fixed = Noise(0.5, 0.0).sample(LIKE, Draws(3, 4000))
    assert fixed.std().item() == pytest.approx(0.5, abs=0.01)
    # The mean square of sigma * u over uniform u is sigma^2 / 3.
    drawn = Noise(0.5, 1.0).sample(LIKE, Draws(3, 4000))
    assert drawn.square().mean().item() == pytest.approx(0.25 / 3, rel=0.05)


def test_noise_is_reproducible() -> None:
    first, again = (Noise(0.5).sample(LIKE, Draws(3, 4000)) for _ in range(2))
    assert torch.equal(first, again)


def test_thermal_noise_gives_every_mode_the_same_energy() -> None:
    stiffness = torch.tensor([0.1, 0.5, 2.0, 10.0, 40.0, 80.0], dtype=torch.float64)
    turn, _ = torch.linalg.qr(
        torch.randn(6, 6, generator=Generator().manual_seed(0), dtype=torch.float64)
    )
    hessian = (turn * stiffness) @ turn.T
    noise = Noise(thermal=0.04, thermal_share=1.0)
    shift = noise.sample(LIKE, Draws(1, 4000), hessian.expand(4000, 6, 6))
    modes = shift.reshape(-1, 6) @ turn
    # <k x^2> = kT, and kT = 0.04 u averages 0.02.
    energies = (stiffness * modes.square()).mean(0)
    torch.testing.assert_close(
        energies, torch.full_like(energies, 0.02), rtol=0.12, atol=0.0
    )


def test_share_of_thermal_molecules() -> None:
    stiff = 1e12 * torch.eye(6, dtype=torch.float64).expand(4000, 6, 6)
    noise = Noise(0.5, 0.0, thermal_share=0.25)
    shift = noise.sample(LIKE, Draws(0, 4000), stiff)
    still = (shift.abs() < 1e-3).all(2).all(1)
    assert still.double().mean().item() == pytest.approx(0.25, abs=0.03)


def test_pulling_lengthens_one_bond_of_each_molecule() -> None:
    rest = torch.tensor([[0, 0, 0], [1.5, 0, 0], [1.5, 1.2, 0], [0, 1.2, 0.4]])
    rest = rest.double().expand(50, 4, 3)
    numbers = torch.full((50, 4), 6)
    radii = torch.full((50, 4), 0.6, dtype=torch.float64)
    field = ValenceField(rest, numbers, radii)
    noise = Noise(thermal=0.0, thermal_share=1.0, stretch=0.03, pulled_share=1.0)
    shift = noise.sample(rest, Draws(0, 50), field.hessian(), field.bonds)
    i, j = field.bonds.T
    before, after = rest.reshape(-1, 3), (rest + shift).reshape(-1, 3)
    longer = (after[i] - after[j]).norm(dim=1) - (before[i] - before[j]).norm(dim=1)
    most = longer.reshape(50, -1).abs().max(1).values
    assert most.max() <= 0.031
    assert most.min() > 0.0
    assert longer.max() > 0.02
    assert -0.011 < longer.min() < 0.0
    # Only moved, not pushed: no force or turn on the whole molecule.
    assert shift.sum(1).abs().max() < 1e-9


def test_relaxing_stiff_modes_takes_off_energy_and_leaves_the_turn() -> None:
    ethane = molecule("C2H6")
    rest = torch.tensor(ethane.positions).expand(20, 8, 3)
    numbers = torch.tensor(ethane.numbers).expand(20, 8)
    radii = torch.tensor(covalent_radii)[numbers]
    field = ValenceField(rest, numbers, radii)
    hessian = field.hessian()
    random = Draws(0, 20)
    noise = Noise(thermal=0.4, thermal_share=1.0)
    shift = noise.sample(rest, random, hessian)
    settled = relax_stiff(shift, rest, field, hessian, 5, random)
    before, _ = field.energies_and_forces(rest + shift)
    after, _ = field.energies_and_forces(rest + settled)
    assert (after < before).all()
    assert after.median() < 0.5 * before.median()
    # Still displaced: only what costs much has gone.
    assert settled.norm() > 0.5 * shift.norm()


def test_following_a_surface_leads_to_its_own_minimum_in_bounded_steps() -> None:
    hessian = torch.diag(torch.tensor([0.1, 1.0, 2.0, 5.0, 10.0, 50.0]).double())
    minimum = torch.tensor([0.5, -0.7, 0.1, 0.9, 0.0, -0.2]).double().reshape(1, 2, 3)

    def forces(shift: torch.Tensor) -> torch.Tensor:
        return ((minimum - shift).flatten(1) @ hessian).reshape(shift.shape)

    start = torch.zeros_like(minimum)
    once = follow(start, forces, hessian[None], 1)
    assert once.abs().max() == pytest.approx(0.2)
    settled = follow(start, forces, hessian[None], 80)
    torch.testing.assert_close(settled, minimum, atol=1e-5, rtol=0.0)


def test_part_of_the_batches_follow_the_model() -> None:
    def drawn(share: float) -> list[int]:
        noise = Noise(followed=3, followed_share=share)
        return [noise.steps_to_follow(Draws(seed, 1)) for seed in range(400)]

    assert set(drawn(0.0)) == {0}
    assert set(drawn(1.0)) == {0, 1, 2, 3}
    # Half of them none, and of the others a quarter.
    assert 0.55 < np.mean(np.array(drawn(0.5)) == 0) < 0.7
    # The numbers of a recipe that names no share are those of before.
    assert drawn(1.0) == [Draws(seed, 1).same(4) for seed in range(400)]
