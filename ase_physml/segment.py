"""Sums, maxima and softmax over segments: the only place that knows torch-scatter.

Native torch is the default everywhere. The optional extra ``scatter`` adds
torch-scatter, whose CUDA kernels sum sorted segments without atomics; set
``ASE_PHYSML_SCATTER=1`` to use it. Both give equal values and gradients (tested,
double backward included).
"""

import os
from collections.abc import Callable

import torch
from torch import Tensor


def _native_sum(values: Tensor, index: Tensor, n_segments: int) -> Tensor:
    out = values.new_zeros((n_segments, *values.shape[1:]))
    return out.index_add(0, index, values)


def _scatter_sum(values: Tensor, index: Tensor, n_segments: int) -> Tensor:
    import torch_scatter

    result: Tensor = torch_scatter.scatter_sum(values, index, 0, dim_size=n_segments)
    return result


def _pick() -> Callable[[Tensor, Tensor, int], Tensor]:
    if os.environ.get("ASE_PHYSML_SCATTER") == "1":
        return _scatter_sum
    return _native_sum


_sum = _pick()


def segment_sum(values: Tensor, index: Tensor, n_segments: int) -> Tensor:
    """Sum rows of ``values`` that share an index.

    Args:
        values: Shape (R, ...).
        index: Segment of each row, int64 of shape (R,), each in [0, n_segments).
        n_segments: Number of segments; empty ones give zeros.

    Returns:
        Shape (n_segments, ...), twice differentiable in ``values``.
    """
    return _sum(values, index, n_segments)


def offsets(counts: Tensor) -> Tensor:
    """Start of each segment from the number of rows in it, both of shape (M,)."""
    return torch.cumsum(counts, 0) - counts


def segment_max(values: Tensor, index: Tensor, n_segments: int) -> Tensor:
    """Largest of the rows of ``values`` that share an index, channel by channel.

    Args:
        values: Shape (R, ...).
        index: Segment of each row, int64 of shape (R,), each in [0, n_segments).
        n_segments: Number of segments; empty ones give zeros.

    Returns:
        Shape (n_segments, ...), differentiable; rows that tie share the gradient.
    """
    out = values.new_zeros((n_segments, *values.shape[1:]))
    places = index.reshape(-1, *[1] * (values.dim() - 1)).expand_as(values)
    return out.scatter_reduce(0, places, values, "amax", include_self=False)


def segment_softmax(scores: Tensor, index: Tensor, n_segments: int) -> Tensor:
    """Weights of the rows that share an index: positive, summing to one.

    Args:
        scores: Shape (R, ...); scores far apart do not overflow.
        index: Segment of each row, int64 of shape (R,), each in [0, n_segments).
        n_segments: Number of segments; empty ones have no row, so that a weighted
            `segment_sum` over them gives zeros.

    Returns:
        Of the shape of ``scores``.
    """
    largest = segment_max(scores.detach(), index, n_segments)
    grown = (scores - largest.index_select(0, index)).exp()
    total = segment_sum(grown, index, n_segments)
    return grown / total.index_select(0, index)
