"""Which atoms are near each other: pairs i < j of a batch of molecules."""

import numpy as np
import torch
from torch import Tensor
from vesin import NeighborList

from ase_physml.segment import offsets

# From here on, cell lists beat measuring all distances.
_LARGE = 300
# Distances measured at a time, so that memory does not grow with their number.
_AT_ONCE = 2_000_000


def pairs_within(positions: Tensor, n_atoms: Tensor, cutoff: float | None) -> Tensor:
    """Pairs of atoms of the same molecule that are closer than ``cutoff``.

    Args:
        positions: (A, 3) Å.
        n_atoms: Atoms per molecule, (M,) int64.
        cutoff: Å; None for all pairs.

    Returns:
        Atoms i < j of each pair, int64 (2, P), in ascending order.
    """
    on_cpu = positions.device.type == "cpu"
    if cutoff is not None and on_cpu and int(n_atoms.max()) > _LARGE:
        return _by_cells(positions, n_atoms, cutoff)
    pairs = _all_pairs(n_atoms)
    if cutoff is None:
        return pairs
    with torch.no_grad():
        near = [
            (positions[i] - positions[j]).square().sum(-1) < cutoff**2
            for i, j in (part.unbind() for part in pairs.split(_AT_ONCE, dim=1))
        ]
    return pairs[:, torch.cat(near)]


def _by_cells(positions: Tensor, n_atoms: Tensor, cutoff: float) -> Tensor:
    """The same through vesin's cell lists, whose cost is linear in the atoms."""
    points = positions.detach().double().numpy()
    nearby = NeighborList(cutoff=cutoff, full_list=False)
    found = []
    for start, count in zip(offsets(n_atoms).tolist(), n_atoms.tolist(), strict=True):
        i, j = nearby.compute(
            points[start : start + count], np.zeros((3, 3)), False, "ij"
        )
        pair = np.sort(np.stack([i, j]).astype(np.int64), axis=0)
        found.append(start + pair[:, np.lexsort(pair[::-1])])
    return torch.from_numpy(np.concatenate(found, axis=1))


def _all_pairs(n_atoms: Tensor) -> Tensor:
    """All i < j of the same molecule, (2, P), without an A x A table."""
    starts = offsets(n_atoms)
    total = int(n_atoms.sum())
    device = n_atoms.device
    first = torch.arange(total, device=device)
    ends = torch.repeat_interleave(starts + n_atoms, n_atoms)
    partners = ends - first - 1
    i = torch.repeat_interleave(first, partners)
    step = torch.arange(len(i), device=device)
    j = i + 1 + step - torch.repeat_interleave(offsets(partners), partners)
    return torch.stack([i, j])
