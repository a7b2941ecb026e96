"""The one thing that flows: atoms, the edges between them, and sums over both.

A graph has one of two layouts and one interface. `EdgeList` is ragged: atoms of all
molecules concatenated, edges within a cutoff as index pairs. `AllPairs` is dense:
molecules of equal atom count, every pair an edge, so that no index is ever followed;
it is the faster one for small molecules. Models speak only to the interface and give
the same energies in both (tested). `PeriodicEdgeList` is the ragged one of cells.

Shapes are written with ``*A`` for the atom axes, (A,) or (M, N); ``*E`` for the edge
axes, (E,) or (M, N, N); ``*P`` for the pair axes, (P,) or (M, N, N).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from ase_physml.neighbours import Search, images_within, pairs_within
from ase_physml.segment import segment_sum

# Keeps the derivative of a distance finite at zero; below float64 rounding at 1 Å.
_TINY = 1e-16

# Pairs whose energies are computed at a time: features of each, several times over.
_PAIRS = 50_000

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
        return (squared + alone + _TINY).sqrt() * (1 - alone)

    def atom_counts(self) -> Tensor:
        """Atoms in each molecule, shape (M,), in the dtype of the positions."""
        ones = torch.ones_like(self.positions[..., :1])
        return self.sum_atoms(ones).squeeze(-1)


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
        edges, _ = _edges(pairs[:, gaps < cutoff**2], len(numbers))
        return cls(
            numbers=numbers,
            positions=positions,
            molecule=_owners(n_atoms),
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
        return (self.pair_vectors().square().sum(-1) + _TINY).sqrt()

    def of_pairs(self, f: Callable[[Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
        (a_i, a_j), (b_i, b_j) = self.pair_atoms(a), self.pair_atoms(b)
        return f(a_i + b_j) + f(a_j + b_i)

    def pair_atoms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.index_select(0, self.pairs[0]), x.index_select(0, self.pairs[1])

    def sum_pairs(self, energy: Tensor) -> Tensor:
        n_atoms = self.numbers.shape[0]
        both = torch.cat([energy, energy])
        return 0.5 * segment_sum(both, self.pairs.flatten(), n_atoms)


@dataclass(frozen=True)
class PeriodicEdgeList(EdgeList):
    """An `EdgeList` of cells: edges and pairs reach into their periodic images.

    An edge stands for all translations of itself through the crystal, so that sums over
    the edges and pairs of a cell give energies per cell. An atom has edges to images of
    itself, which are edges like any others, and pairs with them, of which the list has
    one of each two. Molecules may be among the structures: their shifts are zero.

    Attributes:
        cell: Lattice vectors in rows, (M, 3, 3) Å.
        edge_shifts: Lattice vectors to the image of the sender, whole numbers in the
            dtype of the positions, (E, 3).
        pair_shifts: The same to the image of the second atom of each pair, (P, 3).
    """

    cell: Tensor = field(kw_only=True)
    edge_shifts: Tensor = field(kw_only=True)
    pair_shifts: Tensor = field(kw_only=True)

    @classmethod
    def build_cells(
        cls,
        numbers: Tensor,
        positions: Tensor,
        n_atoms: Tensor,
        cell: Tensor,
        pbc: Tensor,
        cutoff: float,
        pair_cutoff: float,
        search: Search = images_within,
    ) -> PeriodicEdgeList:
        """Connect atoms and images that are closer than ``cutoff``.

        Args:
            numbers: (A,) int64.
            positions: (A, 3) Å.
            n_atoms: Atoms per structure, (M,) int64.
            cell: Lattice vectors in rows, (M, 3, 3) Å.
            pbc: Along which of them a structure repeats, (M, 3) bool; all False for a
                molecule.
            cutoff: Å; at this distance every message has faded to zero.
            pair_cutoff: Å, not below ``cutoff``; where pair terms have faded to zero.
            search: Finds the pairs.
        """
        pairs, shifts = search(positions, n_atoms, cell, pbc, pair_cutoff)
        molecule = _owners(n_atoms)
        with torch.no_grad():
            images = positions[pairs[1]] + _translations(
                shifts, cell, molecule[pairs[0]]
            )
            gaps = (images - positions[pairs[0]]).square().sum(-1)
        within, near = gaps < pair_cutoff**2, gaps < cutoff**2
        edges, order = _edges(pairs[:, near], len(numbers))
        unmoved = shifts.new_zeros(len(numbers), 3)
        edge_shifts = torch.cat([unmoved, shifts[near], -shifts[near]])
        return cls(
            numbers=numbers,
            positions=positions,
            molecule=molecule,
            counts=n_atoms,
            edges=edges,
            pairs=pairs[:, within],
            cell=cell,
            edge_shifts=edge_shifts[order],
            pair_shifts=shifts[within],
        )

    @property
    def self_edge(self) -> Tensor:
        return super().self_edge & (self.edge_shifts == 0).all(-1)

    def edge_vectors(self) -> Tensor:
        return super().edge_vectors() + self._moved(self.edges, self.edge_shifts)

    def pair_vectors(self) -> Tensor:
        return super().pair_vectors() + self._moved(self.pairs, self.pair_shifts)

    def pair_parts(self) -> list[Self]:
        shifts = self.pair_shifts.split(_PAIRS)
        parts = zip(super().pair_parts(), shifts, strict=True)
        return [replace(part, pair_shifts=some) for part, some in parts]

    def _moved(self, atoms: Tensor, shifts: Tensor) -> Tensor:
        owners = self.molecule.index_select(0, atoms[0])
        return _translations(shifts, self.cell, owners)


def _owners(n_atoms: Tensor) -> Tensor:
    """Molecule of each atom, (A,)."""
    molecules = torch.arange(len(n_atoms), device=n_atoms.device)
    return torch.repeat_interleave(molecules, n_atoms)


def _edges(near: Tensor, n_atoms: int) -> tuple[Tensor, Tensor]:
    """Pairs (2, P) in both directions, after the self edges; sorted by receiver.

    Returns:
        Edges (2, E), and of each its place among atoms, pairs and reversed pairs.
    """
    alone = torch.arange(n_atoms, device=near.device).expand(2, -1)
    edges = torch.cat([alone, near, near.flip(0)], dim=1)
    order = torch.argsort(edges[0], stable=True)
    return edges[:, order], order


def _translations(shifts: Tensor, cell: Tensor, owners: Tensor) -> Tensor:
    """Shifts (P, 3) in lattice vectors of their structures to Å, (P, 3)."""
    if cell.shape[0] == 1:
        return shifts @ cell[0]
    return torch.einsum("ps,psx->px", shifts, cell.index_select(0, owners))
