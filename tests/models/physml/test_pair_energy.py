"""The pair energy of Eqs 5 and 6, and its safe evaluation."""

import pytest
import torch

from ase_physml.graph import AllPairs, EdgeList
from ase_physml.models.physml.basis import envelope
from ase_physml.models.physml.pair_energy import (
    COULOMB,
    PairEnergy,
    PairParameters,
    soft_core,
    taper,
)

DEPTH, EXPONENT, MINIMUM = 0.2, 6.0, 1.5


def parameters(charge_product: float = 0.0) -> PairParameters:
    values = (charge_product, DEPTH, EXPONENT, MINIMUM)
    return PairParameters(*(torch.tensor(v, dtype=torch.float64) for v in values))


def test_equals_the_printed_formula() -> None:
    distance = torch.linspace(1.0, 6.0, 40, dtype=torch.float64)
    ratio = MINIMUM / distance
    expected = COULOMB * -0.1 / distance + DEPTH * (
        ratio ** (2 * EXPONENT) - 2 * ratio**EXPONENT
    )
    found = PairEnergy.finite(parameters(-0.1), distance)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_lennard_jones_minimum_is_at_beta4_and_minus_beta2_deep() -> None:
    distance = torch.tensor(MINIMUM, dtype=torch.float64, requires_grad=True)
    energy = PairEnergy.finite(parameters(), distance)
    (slope,) = torch.autograd.grad(energy, distance)
    assert energy.item() == pytest.approx(-DEPTH, abs=1e-9)
    assert slope.item() == pytest.approx(0.0, abs=1e-8)


def test_short_distances_repel_without_overflow() -> None:
    distance = torch.logspace(-6, 0, 60, dtype=torch.float32, requires_grad=True)
    energy = PairEnergy.finite(
        PairParameters(*(p.float() for p in parameters(-0.2))), distance
    )
    (slope,) = torch.autograd.grad(energy.sum(), distance)
    assert energy.isfinite().all() and slope.isfinite().all()
    assert energy[0] > 1e3


def test_tangent_continues_with_the_same_slope() -> None:
    # s = 8 is reached at d = beta4 exp(-8/beta3).
    joint = MINIMUM * torch.exp(torch.tensor(-8.0 / EXPONENT, dtype=torch.float64))
    assert joint > 0.35
    distance = (joint + torch.tensor([-1e-7, 1e-7])).requires_grad_()
    energy = PairEnergy.finite(parameters(), distance)
    (slope,) = torch.autograd.grad(energy.sum(), distance)
    assert slope[0].item() == pytest.approx(slope[1].item(), rel=1e-4)


def test_soft_core_is_the_distance_where_atoms_are() -> None:
    distance = torch.tensor([0.0, 0.8, 1.0, 5.0, 400.0], dtype=torch.float64)
    soft = soft_core(distance)
    assert soft[0] > 0.3
    torch.testing.assert_close(soft[2:], distance[2:], atol=1e-7, rtol=0)


def test_parameters_are_symmetric_and_in_range() -> None:
    torch.manual_seed(0)
    head = PairEnergy(8).double()
    with torch.no_grad():
        head.betas.weight.mul_(100.0)
    numbers = torch.tensor([[6, 1, 8]])
    positions = torch.rand(1, 3, 3, dtype=torch.float64)
    x = torch.randn(1, 3, 8, dtype=torch.float64)
    radii = torch.tensor([[0.76, 0.31, 0.66]], dtype=torch.float64)
    betas = head.parameters_of(AllPairs(numbers, positions), x, radii)
    for value in betas:
        torch.testing.assert_close(value, value.transpose(1, 2))
    assert (betas.depth > 0).all()
    assert ((betas.exponent >= 1) & (betas.exponent <= 12)).all()
    single = radii.unsqueeze(1) + radii.unsqueeze(2)
    assert ((betas.minimum / single).log().abs() <= 0.5 + 1e-9).all()
    ragged = EdgeList.build(numbers[0], positions[0], torch.tensor([3]), 5.0)
    half = head.parameters_of(ragged, x[0], radii[0])
    i, j = ragged.pairs
    for dense, listed in zip(betas, half, strict=True):
        torch.testing.assert_close(dense[0, i, j], listed)


def test_start_is_ordinary_chemistry() -> None:
    head = PairEnergy(8)
    with torch.no_grad():
        head.betas.weight.zero_()
    graph = AllPairs(torch.tensor([[6, 1]]), torch.rand(1, 2, 3))
    radii = torch.tensor([[0.76, 0.31]])
    betas = head.parameters_of(graph, torch.randn(1, 2, 8), radii)
    assert betas.charge_product[0, 0, 1].item() == pytest.approx(0.0, abs=1e-6)
    assert betas.depth[0, 0, 1].item() == pytest.approx(0.05, rel=1e-4)
    assert betas.exponent[0, 0, 1].item() == pytest.approx(6.0, rel=1e-4)
    assert betas.minimum[0, 0, 1].item() == pytest.approx(1.07, rel=1e-4)


def test_envelope_ends_flat() -> None:
    distance = torch.tensor([0.0, 4.99, 5.0, 7.0], dtype=torch.float64)
    distance.requires_grad_()
    phi = envelope(distance, 5.0)
    (slope,) = torch.autograd.grad(phi.sum(), distance)
    assert phi[0] == 1.0 and phi[2] == 0.0 and phi[3] == 0.0
    assert phi[1] < 1e-4 and slope[1].abs() < 1e-2 and slope[2] == 0.0


def test_taper_is_one_then_fades_smoothly_to_zero() -> None:
    distance = torch.linspace(10.0, 21.0, 1101, dtype=torch.float64)
    value = taper(distance, 20.0)
    assert (value[distance <= 15.0] == 1.0).all()
    assert (value[distance >= 20.0] == 0.0).all()
    slope = value.diff() / 0.01
    assert (slope <= 0.0).all()
    # Neither force nor its derivative jumps.
    assert slope.diff().abs().max() / 0.01 < 0.25


def test_endless_pairs_are_a_choice() -> None:
    from ase_physml.graph import AllPairs
    from ase_physml.models.physml.config import PhysMLConfig
    from ase_physml.models.physml.model import PhysML

    torch.manual_seed(0)
    model = PhysML(PhysMLConfig(width=16, depth=1, heads=2, pair_cutoff=None))
    graph = AllPairs(
        torch.tensor([[8, 6]]), torch.tensor([[[0.0, 0, 0], [40.0, 0, 0]]])
    )
    pairs = model(graph).pairs
    assert pairs is not None
    assert pairs.abs().max() > 0.0


def test_printed_terms_are_those_of_the_paper() -> None:
    """Eq 5 by hand; and exponents that may fall below one, which ours may not."""
    distance = torch.tensor([0.7, 1.3, 4.0], dtype=torch.float64)
    betas = parameters(-0.1)
    ratio = betas.minimum / distance
    coulomb = COULOMB * betas.charge_product / distance
    well = ratio ** (2 * betas.exponent) - 2 * ratio**betas.exponent
    torch.testing.assert_close(
        PairEnergy.printed(betas, distance), coulomb + betas.depth * well
    )
    x = torch.randn(1, 3, 8, dtype=torch.float64)
    radii = torch.ones(1, 3, dtype=torch.float64)
    graph = AllPairs(torch.ones(1, 3, dtype=torch.long), x[..., :3])
    for terms, lowest in (("printed", 0.0), ("paper", 1.0)):
        head = PairEnergy(8, terms).double()
        at_start = head.parameters_of(graph, 0.0 * x, radii).exponent
        torch.testing.assert_close(
            at_start, torch.full_like(at_start, 6.0), atol=1, rtol=0
        )
        head.betas.bias.data[3] = -50.0
        exponent = head.parameters_of(graph, x, radii).exponent
        torch.testing.assert_close(exponent, torch.full_like(exponent, lowest))
