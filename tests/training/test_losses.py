"""Each loss says what it should about cases worked out by hand."""

import math

import pytest
import torch

from ase_physml.training.distributed import Draws
from ase_physml.training.losses import frames as losses


def test_energy_loss_ignores_missing_labels() -> None:
    predicted = torch.tensor([1.0, 2.0, 5.0])
    label = torch.tensor([0.0, math.nan, 7.0])
    assert losses.label_loss(predicted, label, None).item() == pytest.approx(2.5)


def test_energy_loss_has_no_nan_gradient() -> None:
    predicted = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = losses.label_loss(predicted, torch.tensor([0.0, math.nan]), 0.1)
    loss.backward()
    assert predicted.grad is not None
    assert predicted.grad[0] > 0
    assert predicted.grad[1] == 0


def test_huber_grows_linearly_with_slope_one() -> None:
    label = torch.zeros(1)
    far = [losses.label_loss(torch.tensor([e]), label, 0.2) for e in (5.0, 6.0)]
    assert (far[1] - far[0]).item() == pytest.approx(1.0)


def test_differences_are_within_groups() -> None:
    label = torch.tensor([0.0, 1.0, math.nan, 5.0, 2.0])
    predicted = torch.tensor([10.0, 13.0, 99.0, -3.0, 7.0], requires_grad=True)
    group = torch.tensor([4, 4, 4, 9, 1])
    loss, count = losses.difference_loss(predicted, label, group, None)
    # Errors 10 and 12 of the one group with two labels: +-1 about their mean.
    assert loss.item() == pytest.approx(1.0)
    assert count.item() == 2
    loss.backward()
    assert predicted.grad is not None
    assert predicted.grad.tolist() == pytest.approx([-1.0, 1.0, 0.0, 0.0, 0.0])


def test_force_loss_is_the_mean_over_known_components() -> None:
    label = torch.tensor([[[0.0, 0, 0], [math.nan, math.nan, math.nan]]])
    predicted = torch.tensor([[[3.0, 0, 0], [9.0, 9, 9]]])
    assert losses.label_loss(predicted, label).item() == pytest.approx(3.0)


def test_large_force_errors_count_linearly() -> None:
    label = torch.zeros(1, 1, 3)
    small, large = torch.full((1, 1, 3), 0.1), torch.full((1, 1, 3), 2.0)
    one = losses.label_loss(small, label, huber=0.5).item()
    assert one == pytest.approx(0.1**2 / 2 / 0.5)
    two, three = (
        losses.label_loss(k * large, label, huber=0.5).item() for k in (1.0, 2.0)
    )
    assert three - two == pytest.approx(2.0)


def test_bound_loss_is_zero_exactly_when_displaced_lies_above() -> None:
    at_rest = torch.tensor([0.0, 0.0, 0.0])
    displaced = torch.tensor([0.5, 0.0, -0.3], requires_grad=True)
    loss = losses.bound_loss(at_rest, displaced, 0.0)
    assert loss.item() == pytest.approx(0.1)
    loss.backward()
    assert displaced.grad is not None
    # Only the offender is pushed, and upwards.
    assert displaced.grad.tolist() == pytest.approx([0.0, 0.0, -1 / 3])


def test_margin_asks_for_curvature() -> None:
    at_rest, displaced = torch.zeros(1), torch.tensor([0.2])
    assert losses.bound_loss(at_rest, displaced, 0.0).item() == 0.0
    assert losses.bound_loss(at_rest, displaced, 0.5).item() == pytest.approx(0.3)


def test_denoising_loss_is_relative_and_bounded_by_outliers() -> None:
    target = torch.ones(1, 2, 3)
    even = torch.eye(6)[None]

    def loss(forces: torch.Tensor, target: torch.Tensor) -> float:
        return losses.denoising_loss(forces, target, even).item()

    assert loss(target, target) == 0.0
    assert loss(1.1 * target, target) == pytest.approx(
        loss(11.0 * target, 10.0 * target), rel=0.01
    )
    assert loss(1e6 * target, target) < 60.0


def test_denoising_loss_counts_energy_and_displacement() -> None:
    compliance = torch.diag(torch.tensor([4.0, 1.0, 1.0, 1.0, 1.0, 1.0]))[None]
    target = torch.zeros(1, 2, 3)
    forces = target.clone()
    forces[0, 0, 0] = 0.1
    energy = 4.0 * 0.1**2 / 6
    shift = (4.0 * 0.1) ** 2 / 6
    expected = math.log1p(energy / 0.002) + math.log1p(shift / 0.02**2)
    found = losses.denoising_loss(forces, target, compliance).item()
    assert found == pytest.approx(expected, rel=1e-5)


def test_zero_force_loss() -> None:
    assert losses.zero_force_loss(torch.full((1, 2, 3), 0.2)).item() == pytest.approx(
        0.04
    )


def test_masking_hides_about_the_share_and_at_least_one() -> None:
    random = Draws(0, 4000)
    numbers = torch.full((4000, 10), 6)
    masked = losses.mask_atoms(numbers, 0.3, random)
    hidden = masked == 0
    assert hidden.float().mean().item() == pytest.approx(0.3, abs=0.02)
    none = losses.mask_atoms(numbers, 0.0, random) == 0
    assert (none.sum(1) == 1).all()


def test_mask_loss_counts_masked_atoms_only() -> None:
    numbers = torch.tensor([[1, 6]])
    masked = torch.tensor([[1, 0]])
    logits = torch.zeros(1, 2, 14)
    logits[0, 0] = 100.0 * torch.eye(14)[3]  # wrong, but not masked
    assert losses.mask_loss(logits, numbers, masked).item() == pytest.approx(
        math.log(14)
    )
    logits[0, 1, 5] = 50.0  # class 5 is z = 6
    assert losses.mask_loss(logits, numbers, masked).item() < 1e-6
