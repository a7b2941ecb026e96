"""Cells: edges reach into their images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from ase_physml.graph.ragged import EdgeList, both_ways, owners
from ase_physml.neighbours import Search, images_within


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
        molecule = owners(n_atoms)
        with torch.no_grad():
            images = positions[pairs[1]] + _translations(
                shifts, cell, molecule[pairs[0]]
            )
            gaps = (images - positions[pairs[0]]).square().sum(-1)
        within, near = gaps < pair_cutoff**2, gaps < cutoff**2
        edges, order = both_ways(pairs[:, near], len(numbers))
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
        parts = super().pair_parts()
        shifts = self.pair_shifts.split([part.pairs.shape[1] for part in parts])
        both = zip(parts, shifts, strict=True)
        return [replace(part, pair_shifts=some) for part, some in both]

    def _moved(self, atoms: Tensor, shifts: Tensor) -> Tensor:
        structures = self.molecule.index_select(0, atoms[0])
        return _translations(shifts, self.cell, structures)


def _translations(shifts: Tensor, cell: Tensor, owners: Tensor) -> Tensor:
    """Shifts (P, 3) in lattice vectors of their structures to Å, (P, 3)."""
    if cell.shape[0] == 1:
        return shifts @ cell[0]
    return torch.einsum("ps,psx->px", shifts, cell.index_select(0, owners))
