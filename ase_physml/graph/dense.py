"""Molecules of equal size, every pair an edge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ase_physml.graph.interface import AtomGraph


@dataclass(frozen=True)
class AllPairs(AtomGraph):
    """Molecules of equal atom count N: numbers (M, N), positions (M, N, 3)."""

    @property
    def n_molecules(self) -> int:
        return self.numbers.shape[0]

    @property
    def self_edge(self) -> Tensor:
        n = self.numbers.shape[1]
        return torch.eye(n, dtype=torch.bool, device=self.numbers.device)[None]

    def receivers(self, x: Tensor) -> Tensor:
        return x.unsqueeze(2)

    def senders(self, x: Tensor) -> Tensor:
        return x.unsqueeze(1)

    def sum_edges(self, x: Tensor) -> Tensor:
        return x.sum(2)

    def sum_atoms(self, x: Tensor) -> Tensor:
        return x.sum(1)

    def to_atoms(self, x: Tensor) -> Tensor:
        return x.unsqueeze(1)

    def pair_parts(self) -> list[Self]:
        return [self]

    def pair_distances(self, edge_distances: Tensor) -> Tensor:
        # Any positive number serves on the diagonal: sum_pairs leaves it out.
        return edge_distances + self.self_edge.to(edge_distances.dtype)

    def of_pairs(self, f: Callable[[Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
        one_order = f(a.unsqueeze(2) + b.unsqueeze(1))
        return one_order + one_order.transpose(1, 2)

    def pair_atoms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.unsqueeze(2), x.unsqueeze(1)

    def sum_pairs(self, energy: Tensor) -> Tensor:
        return 0.5 * (energy * ~self.self_edge).sum(2)
