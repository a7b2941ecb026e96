"""Graph convolutions of the engine against loops over the bonds."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.hamnet.encoder import BondStrength, Encoder

CONFIG = HamNetConfig(gcn_width=7, gcn_layers=2, lstm=False)
WIDTH = 5


def matrix(graph: BondedGraph, strength: Tensor, repo: bool) -> Tensor:
    """What the neighbours' features are multiplied with, bond by bond."""
    n = len(graph.masses)
    a = torch.zeros(n, n, dtype=torch.float64)
    for i, j, weight in zip(graph.target, graph.source, strength[:, 0], strict=True):
        a[i, j] = weight
    degree = [a[i].sum() for i in range(n)]
    for i in range(n):
        for j in range(n):
            if a[i, j] != 0 and not repo:
                a[i, j] = a[i, j] / (degree[i] * degree[j]).sqrt()
        if repo:
            a[i, i] = degree[i]
    return a


@pytest.mark.parametrize("repo", [False, True])
def test_convolutions_are_of_the_normalised_strengths(
    graph: BondedGraph, repo: bool
) -> None:
    """``h' = LeakyReLU(W D^-1/2 A D^-1/2 h)``, all layers side by side; no LSTM."""
    torch.manual_seed(0)
    config = replace(CONFIG, repo=repo)
    strength = BondStrength(config).double()(graph)
    encoder = Encoder(config, WIDTH).double()
    a = matrix(graph, strength, repo)
    hidden = [graph.atom_features]
    for layer in encoder.convolutions:
        hidden.append(leaky_relu(a @ hidden[-1] @ layer.weight.T + layer.bias))
    out = torch.tanh(torch.cat(hidden, -1)) @ encoder.linear.weight.T
    found = encoder(graph, strength)
    for k in range(graph.n_molecules):
        own = graph.molecule == k
        torch.testing.assert_close(found[own], out[own] - out[own].mean(0))


def test_bonds_have_one_strength(graph: BondedGraph) -> None:
    """``A_ij = sigmoid(MLP([v_i; e_ij; v_j]))``, of the mean over both directions."""
    torch.manual_seed(0)
    strength = BondStrength(CONFIG).double()
    found = strength(graph)
    v = graph.atom_features
    for edge, (i, j) in enumerate(zip(graph.target, graph.source, strict=True)):
        e = graph.edge_features[edge]
        ways = [strength.mlp(torch.cat([v[a], e, v[b]])) for a, b in ((i, j), (j, i))]
        torch.testing.assert_close(found[edge], torch.sigmoid(sum(ways) / 2))
