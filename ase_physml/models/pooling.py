"""Pooling of atoms: the start of a molecule's fingerprint."""

from typing import Literal

from torch import Tensor

from ase_physml.bonded_graph import BondedGraph
from ase_physml.segment import segment_sum

# A mean cannot count atoms, and attention is one; both papers start from a mean.
Pooling = Literal["mean", "sum"]


def pool_atoms(atoms: Tensor, graph: BondedGraph, pooling: Pooling) -> Tensor:
    """Atoms (N, width) to molecules (M, width)."""
    pooled = segment_sum(atoms, graph.molecule, graph.n_molecules)
    if pooling == "mean":
        pooled = pooled / graph.n_atoms.unsqueeze(-1)
    return pooled
