"""First positions and momenta: graph convolutions, then an LSTM (HamNet).

The LSTM reads the atoms of each molecule in the order of the graph, which is the
canonical one: it is what tells equivalent atoms apart. One that reads forward only
knows nothing of the later atoms but what the convolutions bring; a second one may read
backward.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.reader import read_atoms
from ase_physml.segment import segment_sum


class BondStrength(nn.Module):
    """``A_ij = sigmoid(MLP([v_i; e_ij; v_j]))``, the mean logit of both directions."""

    def __init__(self, config: HamNetConfig) -> None:
        super().__init__()
        width = 2 * config.atom_features + config.edge_features
        self.mlp = nn.Sequential(
            nn.Linear(width, config.gcn_width),
            nn.LeakyReLU(),
            nn.Linear(config.gcn_width, 1),
        )

    def forward(self, graph: BondedGraph) -> Tensor:
        """Equal for both directions of a bond, shape (E, 1)."""
        v, e = graph.atom_features, graph.edge_features
        logits = self.mlp(torch.cat([v[graph.target], e, v[graph.source]], -1))
        return torch.sigmoid(0.5 * (logits + logits[graph.reverse]))


class Encoder(nn.Module):
    """Graph convolutions, concatenated as in a DenseNet, then the LSTM.

    Args:
        config: Widths and switches.
        width: Width of the result.
    """

    # Models without an LSTM used to have this bias; it never did anything.
    retired = ("linear.bias",)

    def __init__(self, config: HamNetConfig, width: int) -> None:
        super().__init__()
        widths = [config.atom_features] + [config.gcn_width] * config.gcn_layers
        self.convolutions = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        total = sum(widths)
        self.lstm = self.backward_lstm = self.linear = None
        if config.bidirectional:
            half = (width + 1) // 2
            self.lstm = nn.LSTM(total, half, batch_first=True)
            self.backward_lstm = nn.LSTM(total, half, batch_first=True)
            self.linear = nn.Linear(2 * half, width, bias=False)
        elif config.lstm:
            self.lstm = nn.LSTM(total, width, batch_first=True)
        else:
            # No bias: centring would take it away.
            self.linear = nn.Linear(total, width, bias=False)
        self.repo = config.repo

    def forward(self, graph: BondedGraph, strength: Tensor) -> Tensor:
        """Bond strengths (E, 1) to atoms (N, width), centred in each molecule."""
        hidden = [graph.atom_features]
        for convolution in self.convolutions:
            around = self._spread(graph, strength, hidden[-1])
            hidden.append(leaky_relu(convolution(around)))
        x = torch.tanh(torch.cat(hidden, -1))
        if self.lstm is not None:
            x = self._read(graph, x, self.lstm, self.backward_lstm)
        return centred(graph, x if self.linear is None else self.linear(x))

    def _spread(self, graph: BondedGraph, strength: Tensor, x: Tensor) -> Tensor:
        """``D^-1/2 A D^-1/2 x``; in the authors' code ``(D + A) x``."""
        n_atoms = len(x)
        degree = segment_sum(strength, graph.target, n_atoms)
        if self.repo:
            sent = strength * x[graph.source]
            return degree * x + segment_sum(sent, graph.target, n_atoms)
        # Atoms without bonds have degree zero and get nothing.
        scale = torch.where(degree > 0, degree, 1.0).rsqrt()
        sent = strength * (scale * x)[graph.source]
        return scale * segment_sum(sent, graph.target, n_atoms)

    def _read(
        self,
        graph: BondedGraph,
        x: Tensor,
        forward: nn.LSTM,
        backward: nn.LSTM | None,
    ) -> Tensor:
        ahead = read_atoms(forward, graph, x)
        if backward is None:
            return ahead
        from_end = graph.n_atoms[graph.molecule] - 1 - graph.place
        return torch.cat([ahead, read_atoms(backward, graph, x, from_end)], -1)


def centred(graph: BondedGraph, x: Tensor) -> Tensor:
    """Atoms (N, d) less the mean of their molecule, not of the batch."""
    total = segment_sum(x, graph.molecule, graph.n_molecules)
    return x - (total / graph.n_atoms.unsqueeze(-1))[graph.molecule]
