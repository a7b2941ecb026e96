"""Which structures to evaluate together."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch

# Features of so many edges stay in the cache of a CPU core: a larger pass is slower.
# Compiled kernels have less to do between two of them.
_EDGES = 3000
_EDGES_COMPILED = 1500


def passes(
    sizes: Sequence[int], device: torch.device, compiled: bool = False
) -> Iterator[list[int]]:
    """Indices of the structures of each forward pass.

    On a CPU those of a pass have equal size, which needs no index lists, and are as
    many as its cache holds; a GPU gets all at once.

    Args:
        sizes: Atoms of each structure.
        device: Where they are evaluated.
        compiled: Whether by compiled kernels.
    """
    everything = sorted(range(len(sizes)), key=sizes.__getitem__)
    if device.type != "cpu":
        yield everything
        return
    edges = _EDGES_COMPILED if compiled else _EDGES
    for size, equal in groupby(everything, key=sizes.__getitem__):
        some = list(equal)
        step = max(1, edges // size**2)
        yield from (some[i : i + step] for i in range(0, len(some), step))
