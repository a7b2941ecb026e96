"""Parts of a structure that attention does not link, though pair terms do."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from ase_physml.graph import AllPairs, AtomGraph, PeriodicEdgeList
from ase_physml.graph.ragged import EdgeList
from ase_physml.models.energy_model import EnergyConfig

Indices = npt.NDArray[np.int64]


def unlinked_atoms(graph: AtomGraph, config: EnergyConfig) -> tuple[int, int] | None:
    """Two atoms of one structure in parts that are farther apart than the cutoff.

    Parts are what chains of neighbours within the cutoff of attention hold together. A
    molecule and its own images in a periodic cell are parts, too, if the images are
    within reach of the pair terms.

    Args:
        graph: A batch.
        config: Of the model, whose cutoffs the graph has.

    Returns:
        Places of both atoms in their structure; None if there are no such parts, or if
        nothing in the model reaches farther than attention.
    """
    reach = config.reach
    # Parts that have charges are neutral, and interact as they should.
    alone = config.has_charges or (reach is not None and reach <= config.cutoff)
    if alone and not config.reads_whole:
        return None
    if isinstance(graph, AllPairs):
        return _of_equal_sizes(graph.positions, config.cutoff)
    assert isinstance(graph, EdgeList)
    return _of_edges(graph)


def _of_equal_sizes(positions: Tensor, cutoff: float) -> tuple[int, int] | None:
    """Of positions (M, N, 3): who is not reached from the first atom."""
    gaps = (positions.unsqueeze(2) - positions.unsqueeze(1)).square().sum(-1)
    near = gaps < cutoff**2
    reached = near[:, 0]
    while not bool(reached.all()):
        more = (near & reached.unsqueeze(-1)).any(1)
        if bool((more == reached).all()):
            return 0, int((~reached).nonzero()[0, 1])
        reached = more
    return None


def _of_edges(graph: EdgeList) -> tuple[int, int] | None:
    n_atoms = len(graph.numbers)
    molecule = graph.molecule.cpu().numpy()
    first = np.searchsorted(molecule, molecule)
    parts = _components(graph.edges.cpu().numpy(), n_atoms)
    apart = np.flatnonzero(parts != parts[first])
    if len(apart):
        return 0, int(apart[0] - first[apart[0]])
    if isinstance(graph, PeriodicEdgeList) and bool(graph.pair_shifts.any()):
        return _of_images(graph, first)
    return None


def _of_images(graph: PeriodicEdgeList, first: Indices) -> tuple[int, int] | None:
    """Pairs that link an atom to an image in another part.

    Eight copies of each atom stand for its images in even and odd cells along each
    lattice vector: what is linked to its neighbour cell is linked to the odd copy.
    """
    n_atoms = len(graph.numbers)
    edges, pairs = graph.edges.cpu().numpy(), graph.pairs.cpu().numpy()
    steps, shifts = _odd(graph.edge_shifts), _odd(graph.pair_shifts)
    copies = [
        np.stack([edges[0] + n_atoms * _place(cell), edges[1] + n_atoms * there])
        for cell in np.array(list(product((0, 1), repeat=3)))
        for there in [_place(cell ^ steps)]
    ]
    parts = _components(np.concatenate(copies, axis=1), 8 * n_atoms)
    apart = parts[pairs[0]] != parts[pairs[1] + n_atoms * _place(shifts)]
    if not apart.any():
        return None
    i, j = pairs[:, np.flatnonzero(apart)[0]]
    return int(i - first[i]), int(j - first[j])


def _odd(shifts: Tensor) -> Indices:
    return shifts.cpu().numpy().astype(np.int64) & 1


def _place(cell: Indices) -> Indices:
    """Number of a copy, 0 to 7, from (..., 3) zeros and ones."""
    found: Indices = cell @ np.array([4, 2, 1])
    return found


def _components(edges: Indices, n_nodes: int) -> Indices:
    ones = np.ones(edges.shape[1], dtype=np.int8)
    adjacency = coo_array((ones, (edges[0], edges[1])), shape=(n_nodes, n_nodes))
    labels = connected_components(adjacency, directed=False)[1]
    return labels.astype(np.int64)
