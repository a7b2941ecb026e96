"""Graph convolution before the LSTM against loops over the bonds."""

import torch
from torch.nn.functional import leaky_relu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.physchem.initialiser import GraphConvolution

WIDTH = 6


def test_strengths_of_an_atom_sum_to_one(graph: BondedGraph) -> None:
    """``D^-1 A H W`` twice, with A the sigmoid of the bonds and D its row sums."""
    torch.manual_seed(0)
    convolution = GraphConvolution(WIDTH, graph.edge_features.shape[1]).double()
    v = torch.randn(len(graph.masses), WIDTH, dtype=torch.float64)
    n = len(v)
    a = torch.zeros(n, n, dtype=torch.float64)
    for edge, (i, j) in enumerate(zip(graph.target, graph.source, strict=True)):
        a[i, j] = torch.sigmoid(convolution.strength(graph.edge_features[edge])).sum()
    for i in range(n):
        a[i] = a[i] / (a[i].sum() + 1e-5)
    first = leaky_relu(a @ convolution.first(v))
    expected = torch.cat([v, first, a @ convolution.second(first)], -1)
    torch.testing.assert_close(convolution(graph, v), expected)
