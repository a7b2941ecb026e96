"""Batches against the obvious way to build them."""

import time
from dataclasses import fields
from itertools import combinations, product

import numpy as np
import pytest
import torch
from rdkit import Chem

from ase_physml.bonded_graph import BondedGraph
from ase_physml.chem.collate import collate, graph_of
from ase_physml.chem.features import NO_PATH, featurise
from ase_physml.chem.molecules import MoleculeStore

SMILES = ["CCO", "C", "c1ccccc1C#N", "[Na+].[Cl-]", "C1CC1C(C)(C)C", "O=C=O", "[Ne]"]


@pytest.fixture(scope="module")
def store() -> MoleculeStore:
    return MoleculeStore.of([featurise(smiles) for smiles in SMILES])


def assert_equal(a: BondedGraph, b: BondedGraph) -> None:
    for field in fields(a):
        one, other = getattr(a, field.name), getattr(b, field.name)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_batch_against_loops(store: MoleculeStore) -> None:
    graph = collate(store)
    pairs, hops, edges, first = [], [], [], 0
    for smiles in SMILES:
        molecule = Chem.MolFromSmiles(featurise(smiles).smiles)
        distances = Chem.GetDistanceMatrix(molecule)
        n = len(distances)
        pairs += [(first + i, first + j) for i, j in combinations(range(n), 2)]
        hops += [min(distances[i, j], NO_PATH) for i, j in combinations(range(n), 2)]
        edges += [
            (first + i, first + j)
            for i, j in product(range(n), range(n))
            if distances[i, j] == 1
        ]
        first += n
    found_pairs = map(tuple, graph.pairs.T.tolist())
    found = dict(zip(found_pairs, graph.hops.tolist(), strict=True))
    assert found == dict(zip(pairs, hops, strict=True))
    there = list(zip(graph.source.tolist(), graph.target.tolist(), strict=True))
    assert sorted(there) == sorted(edges)
    back = [there[r] for r in graph.reverse.tolist()]
    assert back == [(target, source) for source, target in there]
    triplets = [
        (a, b)
        for a, b in product(range(len(there)), repeat=2)
        if there[a][1] == there[b][1]
    ]
    assert list(map(tuple, graph.triplets.T.tolist())) == triplets


def test_a_molecule_alone_and_in_a_batch(store: MoleculeStore) -> None:
    for k, smiles in enumerate(SMILES):
        assert_equal(graph_of(smiles), collate(store.select(np.array([k]))))


def test_counts_and_places(store: MoleculeStore) -> None:
    graph = collate(store.select(np.array([2, 0, 2])))
    assert graph.n_molecules == 3
    assert graph.n_atoms.tolist() == [8, 3, 8]
    assert graph.molecule.tolist() == [0] * 8 + [1] * 3 + [2] * 8
    assert graph.place[8:11].tolist() == [0, 1, 2]
    assert graph.positions is None


def test_molecules_without_bonds() -> None:
    graph = collate(MoleculeStore.of([featurise("C"), featurise("[Ne]")]))
    assert graph.edge_features.shape == (0, 10)
    assert graph.triplets.shape == graph.pairs.shape == (2, 0)
    assert graph.n_atoms.tolist() == [1, 1]


def test_variant_of_the_published_codes() -> None:
    molecules = MoleculeStore.of([featurise("C[Pt]C")])
    paper, repo = collate(molecules), collate(molecules, "repo")
    assert paper.atom_features.shape == (3, 39)
    assert repo.atom_features.shape == (3, 34)
    kept = [k for k in range(39) if not 31 <= k < 36]
    torch.testing.assert_close(repo.atom_features, paper.atom_features[:, kept])
    assert paper.masses.max() == pytest.approx(195.08 / 50, rel=1e-3)
    assert repo.masses.max() == 1
    assert repo.masses.min() == paper.masses.min()


def test_positions_of_some(store: MoleculeStore) -> None:
    with_positions = featurise("CCO", np.arange(9.0).reshape(3, 3))
    mixed = MoleculeStore.concatenate([store, MoleculeStore.of([with_positions])])
    assert mixed.has_positions.tolist() == [False] * len(SMILES) + [True]
    positions = collate(mixed).positions
    assert positions is not None
    assert positions[:-3].isnan().all()
    assert with_positions.positions is not None
    np.testing.assert_array_equal(positions[-3:], with_positions.positions)


@pytest.mark.slow
def test_a_large_batch_costs_little_more_than_a_small_one() -> None:
    store = MoleculeStore.of([featurise("CC(=O)NC1CC1CO")] * 1000)

    def seconds(indices: np.ndarray) -> float:
        begin = time.process_time()
        collate(store.select(indices))
        return time.process_time() - begin

    few, many = np.arange(2), np.random.default_rng(0).choice(1000, 256)
    # About 5; with a loop over molecules it would be above 100.
    assert min(seconds(many) for _ in range(9)) < 30 * min(
        seconds(few) for _ in range(9)
    )
