"""Both layouts of a graph, and the sums over it."""

import pytest
import torch

from ase_physml.graph import AllPairs, EdgeList
from ase_physml.segment import _native_sum, _scatter_sum, offsets


@pytest.fixture
def ragged() -> EdgeList:
    generator = torch.Generator().manual_seed(1)
    n_atoms = torch.tensor([3, 1, 4])
    positions = 2.0 * torch.randn(8, 3, generator=generator, dtype=torch.float64)
    numbers = torch.tensor([8, 1, 1, 6, 6, 1, 1, 7])
    return EdgeList.build(numbers, positions, n_atoms, cutoff=3.0)


def test_edges_stay_within_molecules_and_cutoff(ragged: EdgeList) -> None:
    i, j = ragged.edges
    assert torch.equal(ragged.molecule[i], ragged.molecule[j])
    assert (ragged.edge_distances() < 3.0).all()
    expected = sum(
        bool(ragged.molecule[a] == ragged.molecule[b])
        and bool((ragged.positions[a] - ragged.positions[b]).norm() < 3.0)
        for a in range(8)
        for b in range(8)
    )
    assert ragged.edges.shape[1] == expected


def test_receivers_are_sorted(ragged: EdgeList) -> None:
    assert (ragged.edges[0].diff() >= 0).all()


def test_pairs_are_all_i_below_j(ragged: EdgeList) -> None:
    expected = [(0, 1), (0, 2), (1, 2)]
    expected += [(4 + a, 4 + b) for a in range(4) for b in range(a + 1, 4)]
    assert ragged.pairs.T.tolist() == [list(pair) for pair in expected]


def test_single_atoms_have_only_themselves() -> None:
    graph = EdgeList.build(
        torch.tensor([1, 1]), torch.zeros(2, 3), torch.tensor([1, 1]), 5.0
    )
    assert graph.edges.tolist() == [[0, 1], [0, 1]]
    assert graph.pairs.shape == (2, 0)


def test_self_distance_is_zero_with_finite_gradient() -> None:
    positions = torch.zeros(1, 2, 3, dtype=torch.float64, requires_grad=True)
    distances = AllPairs(torch.tensor([[1, 1]]), positions).edge_distances()
    distances.sum().backward()
    assert distances[0].diagonal().tolist() == [0.0, 0.0]
    assert positions.grad is not None and positions.grad.isfinite().all()


def test_layouts_agree_on_every_sum() -> None:
    generator = torch.Generator().manual_seed(0)
    numbers = torch.ones(2, 3, dtype=torch.long)
    positions = torch.rand(2, 3, 3, generator=generator)
    dense = AllPairs(numbers, positions)
    ragged = EdgeList.build(
        numbers.flatten(), positions.reshape(6, 3), torch.tensor([3, 3]), 9.0
    )
    x = torch.rand(2, 3, 5, generator=generator)
    flat = x.reshape(6, 5)
    torch.testing.assert_close(dense.sum_atoms(x), ragged.sum_atoms(flat))
    torch.testing.assert_close(
        dense.sum_edges(dense.senders(x) * dense.receivers(x)).reshape(6, 5),
        ragged.sum_edges(ragged.senders(flat) * ragged.receivers(flat)),
    )
    torch.testing.assert_close(dense.atom_counts(), ragged.atom_counts())
    per_pair = [
        graph.sum_pairs(graph.pair_distances(graph.edge_distances())).flatten()
        for graph in (dense, ragged)
    ]
    torch.testing.assert_close(*per_pair)


def test_offsets() -> None:
    assert offsets(torch.tensor([3, 1, 4])).tolist() == [0, 3, 4]


@pytest.mark.scatter
def test_native_and_torch_scatter_sums_agree_to_second_order() -> None:
    pytest.importorskip("torch_scatter")
    index = torch.tensor([0, 0, 2, 2, 2])
    values = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    results = []
    for sum_ in (_native_sum, _scatter_sum):
        out = sum_(values.sin(), index, 4)
        (first,) = torch.autograd.grad(out.pow(3).sum(), values, create_graph=True)
        (second,) = torch.autograd.grad(first.pow(2).sum(), values)
        results.append((out, first, second))
    for native, scatter in zip(*results, strict=True):
        torch.testing.assert_close(native, scatter)


def test_native_sum_has_second_derivatives() -> None:
    index = torch.tensor([0, 0, 2])
    values = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(
        lambda v: _native_sum(v.sin(), index, 4).pow(2), values
    )
