"""Tails that neither slow processors down nor change energies."""

import torch

from ase_physml.models.gaussian import gaussian
from ase_physml.models.physml.basis import RadialBasis, envelope

TINY = torch.finfo(torch.float32).tiny


def test_is_the_exponential_where_it_counts() -> None:
    exponent = torch.linspace(0.0, 59.0, 50, dtype=torch.float64)
    assert torch.equal(gaussian(exponent), torch.exp(-exponent))


def test_an_infinite_or_unknown_exponent_stays_what_it_is() -> None:
    found = gaussian(torch.tensor([torch.inf, torch.nan]))
    assert found[0] == 0
    assert found[1].isnan()


def test_no_radial_function_is_too_small_to_multiply_with() -> None:
    """Neither values nor slopes are denormal, which took most of a training's time."""
    basis = RadialBasis(2, 24, 5.0, 1.0)
    distance = torch.linspace(0.0, 5.0, 2000).requires_grad_()
    psi = basis(
        distance,
        envelope(distance, 5.0),
        basis.centres[:1],
        basis.log_widths[:1],
    )
    (slope,) = torch.autograd.grad(psi.sum(), distance, retain_graph=True)
    (by_width,) = torch.autograd.grad(psi.sum(), basis.log_widths)
    for values in (psi, slope, by_width):
        size = values.detach().abs()
        assert not ((size > 0) & (size < TINY)).any()
        assert size.max() > 0
