"""The fingerprint generator: messages that know where atoms are (HamNet).

Atoms enter with a place x_i, the engine's ``q_i (+) p_i`` or given coordinates, and
bonds see differences of places. A linear layer of ``[h_i; x_i - x_j; h_j]`` is a sum
of one term for each atom: it is computed for atoms and only then added for edges.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, leaky_relu, relu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.pooling import pool_atoms
from ase_physml.segment import segment_softmax, segment_sum


class MessageLayer(nn.Module):
    """One round of attention over the bonds of each atom, and a GRU.

    ``alpha_ij = softmax_j LeakyReLU(w [f_ij; r_ij])``, messages
    ``f'_ij = LeakyReLU(W [h_j; r_ij; h_i])`` with ``r_ij = x_i - x_j``,
    ``h'_i = GRU(ELU(sum_j alpha_ij f'_ij), h_i)``. The messages are the next layer's
    bond features. They are directed: the authors' code sends the same one both ways.
    """

    def __init__(self, width: int, place_width: int) -> None:
        super().__init__()
        self.score_bond = nn.Linear(width, 1)
        self.score_place = nn.Linear(place_width, 1, bias=False)
        self.receiver = nn.Linear(width, width, bias=False)
        self.sender = nn.Linear(width, width)
        self.place = nn.Linear(place_width, width, bias=False)
        self.update = nn.GRUCell(width, width)

    def forward(
        self, graph: BondedGraph, h: Tensor, f: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Atoms h (N, width), bonds f (E, width) and places x (N, c) to new h, f."""
        source, target = graph.source, graph.target
        here, score = self.place(x), self.score_place(x)
        scores = self.score_bond(f) + score[target] - score[source]
        alpha = segment_softmax(leaky_relu(scores), target, len(h))
        received, sent = self.receiver(h) + here, self.sender(h) - here
        messages = leaky_relu(
            received.index_select(0, target) + sent.index_select(0, source)
        )
        total = segment_sum(alpha * messages, target, len(h))
        return self.update(elu(total), h), messages


class Readout(nn.Module):
    """Fingerprint of a molecule: attention over its atoms, repeated.

    ``g = mean_i LeakyReLU(W h_i)``, or the sum; then M times, with alpha_i the softmax
    over the atoms of ``LeakyReLU(w [g; x_i; h_i])``,
    ``g' = ReLU(GRU(ELU(sum_i alpha_i W [h_i; x_i]), g))``. Iterations share all weights
    but, if the configuration says so, w.
    """

    def __init__(self, config: HamNetConfig, place_width: int) -> None:
        super().__init__()
        atom, width = config.width + place_width, config.fingerprint
        self.start = nn.Linear(config.width, width)
        scores = config.readouts if config.own_scores else 1
        self.score_molecule = nn.Linear(width, scores, bias=False)
        self.score_atom = nn.Linear(atom, scores)
        self.value = nn.Linear(atom, width)
        self.update = nn.GRUCell(width, width)
        self.iterations = config.readouts
        self.pooling = config.pooling

    def forward(self, graph: BondedGraph, h: Tensor, x: Tensor) -> Tensor:
        """Atoms (N, width) at places (N, c) to fingerprints (M, fingerprint)."""
        molecule, n = graph.molecule, graph.n_molecules
        atoms = torch.cat([h, x], -1)
        score, value = self.score_atom(atoms), self.value(atoms)
        g = pool_atoms(leaky_relu(self.start(h)), graph, self.pooling)
        for k in range(self.iterations):
            asked = self.score_molecule(g)[molecule] + score
            own = k % asked.shape[1]
            scores = leaky_relu(asked[:, own : own + 1])
            alpha = segment_softmax(scores, molecule, n)
            context = elu(segment_sum(alpha * value, molecule, n))
            g = relu(self.update(context, g))
        return g


class FingerprintGenerator(nn.Module):
    """L message layers and the readout.

    Args:
        config: Widths and counts.
        place_width: Columns of the places.
    """

    def __init__(self, config: HamNetConfig, place_width: int) -> None:
        super().__init__()
        self.embed_atoms = nn.Linear(config.atom_features, config.width)
        self.embed_bonds = nn.Linear(config.edge_features, config.width)
        self.layers = nn.ModuleList(
            MessageLayer(config.width, place_width) for _ in range(config.layers)
        )
        self.readout = Readout(config, place_width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, graph: BondedGraph, x: Tensor) -> Tensor:
        """Places (N, c) to fingerprints (M, fingerprint)."""
        h = leaky_relu(self.embed_atoms(graph.atom_features))
        f = leaky_relu(self.embed_bonds(graph.edge_features))
        for k, layer in enumerate(self.layers):
            h, f = layer(graph, self.dropout(h if k == 0 else relu(h)), f, x)
        fingerprint: Tensor = self.readout(graph, self.dropout(h), x)
        return fingerprint
