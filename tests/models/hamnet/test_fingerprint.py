"""Messages and readout of the fingerprint generator against loops over the paper's."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import elu, leaky_relu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.hamnet.fingerprint import MessageLayer, Readout
from ase_physml.models.pooling import Pooling

WIDTH, PLACES, FINGERPRINT = 6, 4, 5


def states(graph: BondedGraph) -> tuple[Tensor, Tensor, Tensor]:
    """Atoms h, bonds f that differ in their two directions, and places x."""
    generator = torch.Generator().manual_seed(1)
    shapes = (
        (len(graph.masses), WIDTH),
        (len(graph.source), WIDTH),
        (len(graph.masses), PLACES),
    )
    h, f, x = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes
    )
    return h, f, x


def test_messages_and_attention_are_the_equations(graph: BondedGraph) -> None:
    """``r_ij = x_i - x_j``; ``W [h_j; r_ij; h_i]``; ``GRU(ELU(sum), h_i)``."""
    torch.manual_seed(0)
    layer = MessageLayer(WIDTH, PLACES).double()
    h, f, x = states(graph)
    new, messages = layer(graph, h, f, x)
    w = torch.cat([layer.sender.weight, layer.place.weight, layer.receiver.weight], 1)
    w_score = torch.cat([layer.score_bond.weight, layer.score_place.weight], 1)
    for i in range(len(h)):
        scores, sent = [], []
        for edge in (graph.target == i).nonzero()[:, 0]:
            j = graph.source[edge]
            r = x[i] - x[j]
            score = w_score @ torch.cat([f[edge], r]) + layer.score_bond.bias
            scores.append(leaky_relu(score))
            message = leaky_relu(w @ torch.cat([h[j], r, h[i]]) + layer.sender.bias)
            torch.testing.assert_close(messages[edge], message)
            sent.append(message)
        total = torch.zeros(WIDTH, dtype=torch.float64)
        if sent:
            total = (torch.stack(scores).softmax(0) * torch.stack(sent)).sum(0)
        torch.testing.assert_close(new[i], layer.update(input=elu(total), hx=h[i]))


@pytest.mark.parametrize(
    ("pooling", "own"), [("mean", False), ("sum", False), ("mean", True)]
)
def test_readout_is_the_equations(
    graph: BondedGraph, pooling: Pooling, own: bool
) -> None:
    """``alpha = softmax LeakyReLU(w [g; x_i; h_i])``; ``ReLU(GRU(ELU(sum), g))``."""
    torch.manual_seed(0)
    config = HamNetConfig(
        width=WIDTH, fingerprint=FINGERPRINT, readouts=2, pooling=pooling,
        own_scores=own,
    )  # fmt: skip
    readout = Readout(config, PLACES).double()
    h, _, x = states(graph)
    found = readout(graph, h, x)
    for k in range(graph.n_molecules):
        atoms = (graph.molecule == k).nonzero()[:, 0]
        start = torch.stack([leaky_relu(readout.start(h[i])) for i in atoms])
        g = start.sum(0) / (len(atoms) if pooling == "mean" else 1)
        for m in range(2):
            scores, values = [], []
            for i in atoms:
                atom = torch.cat([h[i], x[i]])
                score = readout.score_molecule(g) + readout.score_atom(atom)
                scores.append(leaky_relu(score[m : m + 1] if own else score))
                values.append(readout.value(atom))
            context = (torch.stack(scores).softmax(0) * torch.stack(values)).sum(0)
            g = readout.update(input=elu(context), hx=g).relu()
        torch.testing.assert_close(found[k], g)
