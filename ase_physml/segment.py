"""Sums over segments: the only place that knows torch-scatter.

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
