"""Rows of unordered pairs, and what their states know."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.physchem.pairs import PairIndex, PairStates


def test_rows_are_those_of_a_loop(graph: BondedGraph) -> None:
    index = PairIndex.of(graph)
    found = list(zip(index.first.tolist(), index.second.tolist(), strict=True))
    expected = {
        (a, b)
        for b in range(len(graph.molecule))
        for a in range(b + 1)
        if graph.molecule[a] == graph.molecule[b]
    }
    assert len(found) == len(expected) and set(found) == expected
    assert [found[row] for row in index.pairs] == [
        tuple(p) for p in graph.pairs.T.tolist()
    ]
    ends = zip(graph.source.tolist(), graph.target.tolist(), strict=True)
    assert [found[row] for row in index.edges] == [(min(p), max(p)) for p in ends]


def test_each_pair_hears_of_the_pairs_one_bond_away(graph: BondedGraph) -> None:
    index = PairIndex.of(graph)
    found = list(zip(index.first.tolist(), index.second.tolist(), strict=True))
    heard = sorted(
        (int(e), found[r], found[s])
        for e, r, s in zip(index.edge, index.receiver, index.sender, strict=True)
    )
    expected = sorted(
        (e, (min(i, j), max(i, j)), (min(k, j), max(k, j)))
        for e, (k, i) in enumerate(
            zip(graph.source.tolist(), graph.target.tolist(), strict=True)
        )
        for j in range(len(graph.molecule))
        if graph.molecule[i] == graph.molecule[j]
    )
    assert heard == expected


def states(graph: BondedGraph, layers: int, touched: int | None = None) -> Tensor:
    """Pair states; with the state of one atom changed, if it is given."""
    torch.manual_seed(0)
    v = torch.randn(len(graph.molecule), 4, dtype=torch.float64)
    e = torch.randn(len(graph.source), 3, dtype=torch.float64)
    if touched is not None:
        v[touched] += 1.0
    return PairStates(4, 3, 5, layers).double()(graph, v, e + e[graph.reverse])


def test_states_are_symmetric(graph: BondedGraph) -> None:
    flipped = replace(graph, pairs=graph.pairs.flip(0))
    torch.testing.assert_close(states(flipped, 2), states(graph, 2))


def test_ends_of_a_dihedral_know_what_is_between_them(
    build: Callable[..., BondedGraph],
) -> None:
    chain = build((4, [(0, 1), (1, 2), (2, 3)]))
    ends = chain.pairs.T.tolist().index([0, 3])
    for layers, knows in ((0, False), (1, True)):
        before, after = states(chain, layers), states(chain, layers, touched=1)
        assert torch.allclose(before[ends], after[ends]) is not knows
