"""The one thing that flows: atoms, the edges between them, and sums over both.

A graph has one of two layouts and one interface. `EdgeList` is ragged: atoms of all
molecules concatenated, edges within a cutoff as index pairs. `AllPairs` is dense:
molecules of equal atom count, every pair an edge, so that no index is ever followed;
it is the faster one for small molecules. Models speak only to the interface and give
the same energies in both (tested). `PeriodicEdgeList` is the ragged one of cells.

Shapes are written with ``*A`` for the atom axes, (A,) or (M, N); ``*E`` for the edge
axes, (E,) or (M, N, N); ``*P`` for the pair axes, (P,) or (M, N, N).
"""

from ase_physml.graph.dense import AllPairs
from ase_physml.graph.interface import MASK, AtomGraph
from ase_physml.graph.periodic import PeriodicEdgeList
from ase_physml.graph.ragged import EdgeList

__all__ = ["MASK", "AllPairs", "AtomGraph", "EdgeList", "PeriodicEdgeList"]
