"""Directions, and the lengths and angles that ChemNet reads."""

import torch
from torch import Tensor, nn

from ase_physml.bonded_graph import BondedGraph

LENGTHS, ANGLES = 8, 16
"""Features of a bond length and of an angle."""

_TINY = 1e-12  # Å², keeps the direction between coincident atoms finite


def directions(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors (R, s) and lengths (R, 1); zero where the length is, never NaN."""
    lengths = (vectors.square().sum(-1, keepdim=True) + _TINY).sqrt()
    return vectors / lengths, lengths


class Geometry(nn.Module):
    """Lengths l_ij of the edges and angles alpha_jik of the triplets, as features."""

    def __init__(self) -> None:
        super().__init__()
        self.length = nn.Linear(1, LENGTHS)
        self.angle = nn.Linear(1, ANGLES)

    def forward(self, graph: BondedGraph, q: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates (N, s) to features of edges (E, 8) and triplets (T, 16)."""
        vectors = q.index_select(0, graph.source) - q.index_select(0, graph.target)
        units, lengths = directions(vectors)
        ij, ik = graph.triplets
        cosines = units.index_select(0, ij) * units.index_select(0, ik)
        angles = torch.tanh(self.angle(cosines.sum(-1, keepdim=True)))
        return torch.tanh(self.length(torch.tanh(lengths))), angles
