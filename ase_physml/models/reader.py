"""An LSTM along the atoms of every molecule of a batch."""

import torch
from torch import Tensor, nn

from ase_physml.bonded_graph import BondedGraph

# What is read together is padded to one length: for molecules of all sizes, four times
# what there is. Fewer molecules than this at a time are not worth a pass of their own.
_FEWEST, _PARTS = 32, 4
# Of all atoms; less padding is left alone.
_PADDING = 0.5


def read_atoms(
    lstm: nn.LSTM, graph: BondedGraph, x: Tensor, place: Tensor | None = None
) -> Tensor:
    """Output of an LSTM at each atom, molecules of similar size together.

    Args:
        lstm: LSTM of one direction, ``batch_first``.
        graph: A batch.
        x: Input of each atom, (N, width).
        place: Place of each atom in the order of reading, (N,); the graph's if None.

    Returns:
        (N, hidden).
    """
    place = graph.place if place is None else place
    parts = _parts(graph)
    # Molecules by size, and which of them each is.
    rank = graph.n_atoms.argsort(stable=True).argsort()
    size = -(-graph.n_molecules // parts)
    owner = rank.index_select(0, graph.molecule)
    found, rows = [], []
    for start in range(0, graph.n_molecules, size):
        atoms = ((owner >= start) & (owner < start + size)).nonzero().squeeze(1)
        sequence = owner.index_select(0, atoms) - start
        count = min(size, graph.n_molecules - start)
        found.append(_read(lstm, x[atoms], sequence, place[atoms], count))
        rows.append(atoms)
    return torch.cat(found).index_select(0, torch.cat(rows).argsort())


def _parts(graph: BondedGraph) -> int:
    padded = graph.n_molecules * int(graph.n_atoms.max())
    if padded <= (1.0 + _PADDING) * len(graph.molecule):
        return 1
    return max(1, min(_PARTS, graph.n_molecules // _FEWEST))


def _read(
    lstm: nn.LSTM, x: Tensor, sequence: Tensor, place: Tensor, count: int
) -> Tensor:
    """Atoms (A, width) of so many sequences, to (A, hidden)."""
    longest = int(place.max()) + 1
    # Zeros come after the last atom, where they change nothing: an LSTM does not look
    # ahead.
    cells = sequence * longest + place
    padded = x.new_zeros(count * longest, x.shape[1]).index_copy(0, cells, x)
    read, _ = lstm(padded.view(count, longest, -1))
    states: Tensor = read.flatten(0, 1).index_select(0, cells)
    return states
