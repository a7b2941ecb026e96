"""Batches that models read, of featurised molecules.

Apart from `molecules`, since what makes and splits sets needs no torch.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph, Variant
from ase_physml.chem.features import HYDROGENS, OTHER, Order, featurise
from ase_physml.chem.molecules import MoleculeStore, ranges
from ase_physml.data.frame import Array


def graph_of(
    molecule: str | Chem.Mol,
    positions: Array | None = None,
    variant: Variant = "paper",
    order: Order = "smiles",
) -> BondedGraph:
    """Graph of one molecule; arguments and errors as of `featurise`."""
    return collate(MoleculeStore.of([featurise(molecule, positions, order)]), variant)


def collate(store: MoleculeStore, variant: Variant = "paper") -> BondedGraph:
    """Batch of all molecules of a store; ``store.select`` picks them.

    Positions of molecules without a conformation are NaN; `MoleculeStore.has_positions`
    tells which.
    """
    rows, n_atoms = store.rows, store.n_atoms
    first_atom = np.cumsum(n_atoms) - n_atoms
    of_edge = np.repeat(first_atom, store.n_edges)
    first_edge = np.repeat(np.cumsum(store.n_edges) - store.n_edges, store.n_edges)
    target = rows["target"] + of_edge
    features, masses = _variant(rows["atom_features"], rows["masses"], variant)
    return BondedGraph(
        atom_features=_real(features),
        edge_features=_real(rows["edge_features"]),
        masses=_real(masses),
        source=_index(rows["source"] + of_edge),
        target=_index(target),
        reverse=_index(rows["reverse"] + first_edge),
        triplets=_index(_triplets(target, len(features))),
        pairs=_index(_pairs(n_atoms, first_atom)),
        hops=_index(rows["hops"]),
        molecule=_index(np.repeat(np.arange(len(n_atoms)), n_atoms)),
        n_atoms=_index(n_atoms),
        input_index=_index(rows["input_index"]),
        positions=_real(rows["positions"]) if "positions" in rows else None,
    )


def _variant(features: Array, masses: Array, variant: Variant) -> tuple[Array, Array]:
    if variant == "paper":
        return features, masses
    other = features[:, OTHER] == 1
    return np.delete(features, HYDROGENS, axis=1), np.where(other, 1.0, masses)


def _triplets(target: Array, n_atoms: int) -> Array:
    """Pairs of edges with one target: edges are sorted by it, so these are runs."""
    degree = np.bincount(target, minlength=n_atoms)
    first = np.cumsum(degree) - degree
    counts = degree[target]
    one = np.repeat(np.arange(len(target)), counts)
    return np.stack([one, ranges(first[target], counts)])


def _pairs(n_atoms: Array, first_atom: Array) -> Array:
    counts = n_atoms * (n_atoms - 1) // 2
    places = ranges(np.zeros_like(counts), counts)
    table = _pair_table(int(n_atoms.max(initial=0)))
    pairs: Array = table[:, places] + np.repeat(first_atom, counts)
    return pairs


@lru_cache(maxsize=16)
def _pair_table(n: int) -> Array:
    """(0, 1), (0, 2), (1, 2), (0, 3)...: fewer atoms have the first of these."""
    later, earlier = np.tril_indices(n, -1)
    return np.stack([earlier, later])


def _real(values: Array) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _index(values: Array) -> Tensor:
    return torch.from_numpy(values.astype(np.int64))
