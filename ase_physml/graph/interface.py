"""Interface of all graphs of atoms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

# Keeps the derivative of a distance finite at zero; below float64 rounding at 1 Å.
TINY = 1e-16

MASK = 0
"""Atomic number that stands for the [MASK] token."""


@dataclass(frozen=True)
class AtomGraph(ABC):
    """Atoms and edges of a batch of molecules.

    Attributes:
        numbers: Atomic numbers, int64 of shape (*A); 0 is the [MASK] token.
        positions: Cartesian coordinates in Å, shape (*A, 3).
        bonded: Optional adjacency for the A-mask, 1 where bonded, shape (*E).
    """

    numbers: Tensor
    positions: Tensor
    bonded: Tensor | None = None

    def replace(self, **changes: Tensor) -> Self:
        """Return a copy with other ``positions`` or ``numbers``, same topology.

        An `EdgeList` keeps its edges: rebuild it if atoms have moved across the cutoff.
        """
        return replace(self, **changes)

    @property
    @abstractmethod
    def n_molecules(self) -> int:
        """Number of molecules M."""

    @property
    @abstractmethod
    def self_edge(self) -> Tensor:
        """True for the edge of an atom to itself, shape (*E)."""

    @abstractmethod
    def receivers(self, x: Tensor) -> Tensor:
        """Atom features (*A, d) as seen by the receiver i of each edge."""

    @abstractmethod
    def senders(self, x: Tensor) -> Tensor:
        """Atom features (*A, d) as seen by the sender j of each edge."""

    @abstractmethod
    def sum_edges(self, x: Tensor) -> Tensor:
        """Sum edge features (*E, d) over the senders of each receiver: (*A, d)."""

    @abstractmethod
    def sum_atoms(self, x: Tensor) -> Tensor:
        """Sum atom features (*A, d) over each molecule: (M, d)."""

    @abstractmethod
    def to_atoms(self, x: Tensor) -> Tensor:
        """Give each atom the features (M, d) of its molecule: (*A, d)."""

    @abstractmethod
    def pair_parts(self) -> list[Self]:
        """Graphs of the same atoms, each with so many pairs as fit into memory."""

    @abstractmethod
    def pair_distances(self, edge_distances: Tensor) -> Tensor:
        """Distances in Å of the pairs that carry an energy, (*P), never zero."""

    @abstractmethod
    def of_pairs(self, f: Callable[[Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
        """``f(a_i + b_j) + f(a_j + b_i)`` for each pair: symmetric in i and j."""

    @abstractmethod
    def pair_atoms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Atom values (*A) of both atoms of each pair, broadcasting to (*P)."""

    @abstractmethod
    def sum_pairs(self, energy: Tensor) -> Tensor:
        """Pair energies (*P), half to each of their atoms: (*A)."""

    def edge_vectors(self) -> Tensor:
        """From the receiver to the sender of each edge in Å, shape (*E, 3)."""
        return self.senders(self.positions) - self.receivers(self.positions)

    def edge_distances(self) -> Tensor:
        """Distances in Å, shape (*E); exactly zero for self edges, never NaN."""
        vectors = self.edge_vectors()
        alone = self.self_edge.to(vectors.dtype)
        squared = vectors.square().sum(-1)
        return (squared + alone + TINY).sqrt() * (1 - alone)

    def atom_counts(self) -> Tensor:
        """Atoms in each molecule, shape (M,), in the dtype of the positions."""
        ones = torch.ones_like(self.positions[..., :1])
        return self.sum_atoms(ones).squeeze(-1)
