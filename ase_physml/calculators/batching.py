"""Which structures to evaluate together."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from ase import Atoms

from ase_physml.calculators.cells import is_periodic

# Features of so many edges stay in the cache of a CPU core: a larger pass is slower.
# Compiled kernels have less to do between two of them.
_EDGES = 3000
_EDGES_COMPILED = 1500


def batches_of(
    structures: Sequence[Atoms], device: torch.device, compiled: bool = False
) -> Iterator[list[int]]:
    """Indices of the structures of each forward pass.

    On a CPU molecules of a pass have equal size, which needs no index lists, and are as
    many as its cache holds; cells are on their own, since their images make them large.
    A GPU gets all molecules at once, and all cells.

    Args:
        structures: What is evaluated.
        device: Where.
        compiled: Whether by compiled kernels.
    """
    sizes = [len(atoms) for atoms in structures]
    by_size = sorted(range(len(sizes)), key=sizes.__getitem__)
    cells = [k for k in by_size if is_periodic(structures[k])]
    molecules = [k for k in by_size if not is_periodic(structures[k])]
    if device.type != "cpu":
        yield from (some for some in (molecules, cells) if some)
        return
    edges = _EDGES_COMPILED if compiled else _EDGES
    for size, equal in groupby(molecules, key=sizes.__getitem__):
        some = list(equal)
        step = max(1, edges // size**2)
        yield from (some[i : i + step] for i in range(0, len(some), step))
    yield from ([k] for k in cells)
