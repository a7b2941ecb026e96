"""Molecules of any sizes, edges within a cutoff."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from ase_physml.graph.interface import TINY, AtomGraph
from ase_physml.neighbours import pairs_within
from ase_physml.segment import segment_sum

# Pairs whose energies are computed at a time: features of each, several times over.
_PAIRS = 50_000


@dataclass(frozen=True)
class EdgeList(AtomGraph):
    """Ragged molecules: numbers (A,), positions (A, 3) and index lists.

    Attributes:
        molecule: Molecule of each atom, int64 (A,), ascending.
        counts: Atoms per molecule, int64 (M,).
        edges: Receiver i and sender j of each directed edge, (2, E); self edges
            included, both directions present.
        pairs: Atoms i < j of each pair in a molecule that carries an energy, (2, P).
    """

    molecule: Tensor = field(kw_only=True)
    counts: Tensor = field(kw_only=True)
    edges: Tensor = field(kw_only=True)
    pairs: Tensor = field(kw_only=True)

    @classmethod
    def build(
        cls,
        numbers: Tensor,
        positions: Tensor,
        n_atoms: Tensor,
        cutoff: float,
        pair_cutoff: float | None = None,
    ) -> EdgeList:
        """Connect atoms of the same molecule that are closer than ``cutoff``.

        Args:
            numbers: (A,) int64.
            positions: (A, 3) Å.
            n_atoms: Atoms per molecule, (M,) int64.
            cutoff: Å; at this distance every message has faded to zero.
            pair_cutoff: Å, not below ``cutoff``; where pair terms have faded to zero,
                or None where they never do.
        """
        pairs = pairs_within(positions, n_atoms, pair_cutoff)
        with torch.no_grad():
            gaps = (positions[pairs[0]] - positions[pairs[1]]).square().sum(-1)
        edges, _ = both_ways(pairs[:, gaps < cutoff**2], len(numbers))
        return cls(
            numbers=numbers,
            positions=positions,
            molecule=owners(n_atoms),
            counts=n_atoms,
            edges=edges,
            pairs=pairs,
        )

    @property
    def n_molecules(self) -> int:
        return self.counts.shape[0]

    @property
    def self_edge(self) -> Tensor:
        return self.edges[0] == self.edges[1]

    def receivers(self, x: Tensor) -> Tensor:
        return x.index_select(0, self.edges[0])

    def senders(self, x: Tensor) -> Tensor:
        return x.index_select(0, self.edges[1])

    def sum_edges(self, x: Tensor) -> Tensor:
        return segment_sum(x, self.edges[0], self.numbers.shape[0])

    def sum_atoms(self, x: Tensor) -> Tensor:
        return segment_sum(x, self.molecule, self.n_molecules)

    def to_atoms(self, x: Tensor) -> Tensor:
        return x.index_select(0, self.molecule)

    def pair_parts(self) -> list[Self]:
        return [replace(self, pairs=some) for some in self.pairs.split(_PAIRS, dim=1)]

    def pair_vectors(self) -> Tensor:
        """From the first to the second atom of each pair in Å, shape (P, 3)."""
        first, second = self.pair_atoms(self.positions)
        return second - first

    def pair_distances(self, edge_distances: Tensor) -> Tensor:
        return (self.pair_vectors().square().sum(-1) + TINY).sqrt()

    def of_pairs(self, f: Callable[[Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
        (a_i, a_j), (b_i, b_j) = self.pair_atoms(a), self.pair_atoms(b)
        return f(a_i + b_j) + f(a_j + b_i)

    def pair_atoms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.index_select(0, self.pairs[0]), x.index_select(0, self.pairs[1])

    def sum_pairs(self, energy: Tensor) -> Tensor:
        n_atoms = self.numbers.shape[0]
        both = torch.cat([energy, energy])
        return 0.5 * segment_sum(both, self.pairs.flatten(), n_atoms)


def owners(n_atoms: Tensor) -> Tensor:
    """Molecule of each atom, (A,)."""
    molecules = torch.arange(len(n_atoms), device=n_atoms.device)
    return torch.repeat_interleave(molecules, n_atoms)


def both_ways(near: Tensor, n_atoms: int) -> tuple[Tensor, Tensor]:
    """Pairs (2, P) in both directions, after the self edges; sorted by receiver.

    Returns:
        Edges (2, E), and of each its place among atoms, pairs and reversed pairs.
    """
    alone = torch.arange(n_atoms, device=near.device).expand(2, -1)
    edges = torch.cat([alone, near, near.flip(0)], dim=1)
    order = torch.argsort(edges[0], stable=True)
    return edges[:, order], order
