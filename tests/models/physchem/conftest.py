"""Molecular graphs by hand: bonds that the test names, random features."""

from collections.abc import Callable, Sequence
from itertools import combinations

import pytest
import torch
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph

Molecule = tuple[int, Sequence[tuple[int, int]]]
Build = Callable[..., BondedGraph]

NOT_CONNECTED = 10**6


def hops_of(n: int, bonds: Sequence[tuple[int, int]]) -> Tensor:
    """Floyd-Warshall."""
    hops = torch.full((n, n), NOT_CONNECTED)
    hops.fill_diagonal_(0)
    for i, j in bonds:
        hops[i, j] = hops[j, i] = 1
    for k in range(n):
        hops = torch.minimum(hops, hops[:, k : k + 1] + hops[k : k + 1])
    return hops.clamp(max=NOT_CONNECTED)


def build(*molecules: Molecule, atom_features: int = 39) -> BondedGraph:
    """Batch of molecules (atoms, bonds); equal ones have equal features."""
    parts: dict[str, list[Tensor]] = {}
    source, target, reverse, triplets, pairs, hops = [], [], [], [], [], []
    start = 0
    for n, bonds in molecules:
        generator = torch.Generator().manual_seed(n + 100 * len(bonds))
        edges = [edge for i, j in bonds for edge in ((i, j), (j, i))]
        first = len(source)
        reverse += [first + e + 1 - 2 * (e % 2) for e in range(len(edges))]
        triplets += [
            (first + a, first + b)
            for a, one in enumerate(edges)
            for b, other in enumerate(edges)
            if one[1] == other[1]
        ]
        source += [start + i for i, _ in edges]
        target += [start + j for _, j in edges]
        pairs += [(start + i, start + j) for i, j in combinations(range(n), 2)]
        hops += [int(hops_of(n, bonds)[pair]) for pair in combinations(range(n), 2)]
        start += n

        def random(*shape: int, g: torch.Generator = generator) -> Tensor:
            return torch.rand(shape, generator=g, dtype=torch.float64)

        bond_features = random(len(bonds), 10).repeat_interleave(2, 0)
        parts.setdefault("atom_features", []).append(random(n, atom_features))
        parts.setdefault("edge_features", []).append(bond_features)
        parts.setdefault("masses", []).append(0.2 + random(n))
        parts.setdefault("positions", []).append(4.0 * random(n, 3))
    n_atoms = torch.tensor([n for n, _ in molecules])
    return BondedGraph(
        **{name: torch.cat(values) for name, values in parts.items()},
        source=torch.tensor(source, dtype=torch.long),
        target=torch.tensor(target, dtype=torch.long),
        reverse=torch.tensor(reverse, dtype=torch.long),
        triplets=torch.tensor(triplets, dtype=torch.long).reshape(-1, 2).T,
        pairs=torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T,
        hops=torch.tensor(hops, dtype=torch.long),
        molecule=torch.arange(len(molecules)).repeat_interleave(n_atoms),
        n_atoms=n_atoms,
        input_index=torch.cat([torch.arange(n) for n, _ in molecules]),
    )


CHAIN: Molecule = (4, [(0, 1), (1, 2), (2, 3)])
RING: Molecule = (6, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (2, 5)])
METHANE: Molecule = (1, [])
SALT: Molecule = (4, [(0, 1), (1, 2)])  # the last atom stands alone
IONS: Molecule = (2, [])


@pytest.fixture(name="build")
def build_fixture() -> Build:
    return build


@pytest.fixture
def molecules() -> dict[str, Molecule]:
    return {
        "chain": CHAIN, "ring": RING, "methane": METHANE, "salt": SALT, "ions": IONS
    }  # fmt: skip


@pytest.fixture
def graph() -> BondedGraph:
    return build(CHAIN, METHANE, RING, SALT, IONS)
