"""First states: atoms and bonds from their features, positions from an LSTM.

The published code concatenates the input and both layers of the graph convolution, and
maps the outputs of the LSTM, which lie in (-1, 1), linearly to positions and momenta;
the paper is silent on both.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.reader import read_atoms
from ase_physml.segment import segment_sum

_TINY = 1e-5  # keeps an atom without bonds from dividing by zero


class FirstStates(nn.Module):
    """``v = tanh(FC x^v)`` and ``e = tanh(FC x^e)``."""

    def __init__(
        self, atom_features: int, bond_features: int, atom_width: int, bond_width: int
    ) -> None:
        super().__init__()
        self.atoms = nn.Linear(atom_features, atom_width)
        self.bonds = nn.Linear(bond_features, bond_width)

    def forward(self, graph: BondedGraph) -> tuple[Tensor, Tensor]:
        """Atom states (N, atom_width) and states of the edges (E, bond_width)."""
        atoms = torch.tanh(self.atoms(graph.atom_features))
        return atoms, torch.tanh(self.bonds(graph.edge_features))


class GraphConvolution(nn.Module):
    """Two layers ``H <- A H W``, A the learned bond strengths normalised by row.

    There are no self-loops. Input and both layers are concatenated: (N, 3 width).
    """

    def __init__(self, width: int, bond_features: int) -> None:
        super().__init__()
        self.strength = nn.Linear(bond_features, 1)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)

    def forward(self, graph: BondedGraph, v: Tensor) -> Tensor:
        """Atom states (N, width) to (N, 3 width)."""
        strength = torch.sigmoid(self.strength(graph.edge_features))
        total = segment_sum(strength, graph.target, len(v)) + _TINY
        weight = strength / total.index_select(0, graph.target)
        first = leaky_relu(_mean_of_neighbours(graph, weight, self.first(v)))
        second = _mean_of_neighbours(graph, weight, self.second(first))
        return torch.cat([v, first, second], dim=-1)


def _mean_of_neighbours(graph: BondedGraph, weight: Tensor, x: Tensor) -> Tensor:
    messages = weight * x.index_select(0, graph.source)
    return segment_sum(messages, graph.target, len(x))


class FirstPositions(nn.Module):
    """Positions and momenta: graph convolution, then an LSTM along the atom order.

    The LSTM breaks the symmetry between equivalent atoms; the frame and the handedness
    of what it gives are arbitrary.
    """

    def __init__(self, width: int, bond_features: int, space: int) -> None:
        super().__init__()
        self.convolution = GraphConvolution(width, bond_features)
        self.lstm = nn.LSTM(3 * width, width, num_layers=2, batch_first=True)
        self.out = nn.Linear(width, 2 * space)

    def forward(self, graph: BondedGraph, v: Tensor) -> tuple[Tensor, Tensor]:
        """Generalised coordinates q and momenta p, (N, space) each."""
        states = read_atoms(self.lstm, graph, self.convolution(graph, v))
        q, p = self.out(torch.tanh(states)).chunk(2, dim=-1)
        return q, p
