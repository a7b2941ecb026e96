"""States of pairs of atoms, bonded or not: what decides how far apart they are.

Beyond the paper. The state of the pair {i, j} is symmetric and learns from the pairs
{k, j} and {k, i} of the bonded neighbours k, so that after h layers it has seen every
path of up to h + 1 bonds: the two dihedral ends of a chain know what is between them.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.segment import offsets, segment_sum

_FARTHEST = 10  # bonds apart, beyond which pairs look alike


class PairIndex(NamedTuple):
    """Rows of the unordered pairs {i, j}, i = j included, and the steps between them.

    Attributes:
        first, second: Atoms of each row, i <= j, (R,).
        pairs: Rows of ``graph.pairs``, (P,).
        edges: Rows of the edges, (E,).
        receiver, sender: Rows {i, j} and {k, j} for each edge k to i and atom j of its
            molecule, (W,).
        edge: Edge of each, (W,).
    """

    first: Tensor
    second: Tensor
    pairs: Tensor
    edges: Tensor
    receiver: Tensor
    sender: Tensor
    edge: Tensor

    @classmethod
    def of(cls, graph: BondedGraph) -> Self:
        """Index the pairs of each molecule."""
        place = graph.place
        starts = offsets(place + 1)

        def row(i: Tensor, j: Tensor) -> Tensor:
            lower, upper = torch.minimum(i, j), torch.maximum(i, j)
            return starts.index_select(0, upper) + place.index_select(0, lower)

        second, lower = _repeat(place + 1)
        home = graph.molecule.index_select(0, graph.target)
        edge, other = _repeat(graph.n_atoms.index_select(0, home))
        j = other + offsets(graph.n_atoms).index_select(0, home.index_select(0, edge))
        return cls(
            first=second - place.index_select(0, second) + lower,
            second=second,
            pairs=row(*graph.pairs.unbind()),
            edges=row(graph.source, graph.target),
            receiver=row(graph.target.index_select(0, edge), j),
            sender=row(graph.source.index_select(0, edge), j),
            edge=edge,
        )


def _repeat(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Item ``k`` counts[k] times, and the running number within each."""
    items = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    numbers = torch.arange(len(items), device=counts.device)
    return items, numbers - offsets(counts).index_select(0, items)


class PairLayer(nn.Module):
    """A pair learns from the pairs that are one bond away, gated by that bond."""

    def __init__(self, bond_width: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.value = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(bond_width, width)
        self.mix = nn.Sequential(
            nn.Linear(2 * width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def forward(self, index: PairIndex, z: Tensor, e: Tensor) -> Tensor:
        """Pair states (R, width), bond states (E, bond_width) to pair states."""
        x = self.norm(z)
        gates = torch.sigmoid(self.gate(e)).index_select(0, index.edge)
        sent = gates * self.value(x).index_select(0, index.sender)
        received = segment_sum(sent, index.receiver, len(z))
        mixed: Tensor = self.mix(torch.cat([x, received], dim=-1))
        return z + mixed


class PairStates(nn.Module):
    """States of pairs from those of atoms and bonds, and the bonds between them."""

    def __init__(
        self, atom_width: int, bond_width: int, width: int, layers: int
    ) -> None:
        super().__init__()
        self.of_atoms = nn.Linear(atom_width, width)
        self.of_bonds = nn.Linear(bond_width, width)
        self.of_hops = nn.Embedding(_FARTHEST + 1, width)
        self.layers = nn.ModuleList(PairLayer(bond_width, width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, graph: BondedGraph, v: Tensor, e: Tensor) -> Tensor:
        """Atom states (N, .), bond states (E, .) to states (P, width) of the pairs."""
        index = PairIndex.of(graph)
        atoms = self.of_atoms(v)
        z = atoms.index_select(0, index.first) + atoms.index_select(0, index.second)
        # An atom is no bond away from itself.
        hops = torch.zeros_like(index.first)
        hops = hops.index_copy(0, index.pairs, graph.hops.clamp(max=_FARTHEST))
        z = z + self.of_hops(hops)
        z = silu(z + segment_sum(self.of_bonds(e), index.edges, len(z)))
        for layer in self.layers:
            z = layer(index, z, e)
        states: Tensor = self.norm(z.index_select(0, index.pairs))
        return states
