"""Maxima and softmax over ragged segments, empty ones included."""

import torch

from ase_physml.segment import segment_max, segment_softmax, segment_sum

INDEX = torch.tensor([2, 0, 2, 2, 0])  # segments 1 and 3 are empty


def scores(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, *shape, generator=generator, dtype=torch.float64)


def test_softmax_is_that_of_each_segment_alone() -> None:
    values = scores(3)
    weights = segment_softmax(values, INDEX, 4)
    for segment in (0, 2):
        rows = segment == INDEX
        torch.testing.assert_close(weights[rows], values[rows].softmax(0))


def test_weighted_sums_over_empty_segments_are_zero() -> None:
    weights = segment_softmax(scores(), INDEX, 4)
    torch.testing.assert_close(
        segment_sum(weights, INDEX, 4), torch.tensor([1.0, 0.0, 1.0, 0.0]).double()
    )


def test_softmax_of_nothing_is_nothing() -> None:
    nothing = torch.zeros(0, dtype=torch.long)
    assert segment_softmax(torch.zeros(0, 2), nothing, 3).shape == (0, 2)


def test_softmax_of_huge_scores_is_finite() -> None:
    weights = segment_softmax(1e4 * scores(), INDEX, 4)
    assert weights.isfinite().all()


def test_gradient_of_softmax() -> None:
    values = scores(2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: segment_softmax(x, INDEX, 4), values)


def test_max_and_its_gradient() -> None:
    values = scores(2).requires_grad_()
    largest = segment_max(values, INDEX, 4)
    torch.testing.assert_close(largest[2], values[[0, 2, 3]].amax(0))
    assert (largest[[1, 3]] == 0).all()
    assert torch.autograd.gradcheck(lambda x: segment_max(x, INDEX, 4), values)


def test_max_of_negative_values_is_not_zero() -> None:
    largest = segment_max(-scores().abs() - 1.0, INDEX, 4)
    assert (largest[[0, 2]] < -1.0).all()
