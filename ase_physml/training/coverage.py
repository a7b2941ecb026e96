"""Distances that training structures have: beyond them a potential only guesses."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from ase.data import chemical_symbols

from ase_physml.training.batches import FrameStore

# Structures of a set that are looked at, and of a batch of them.
_MOST, _TOGETHER = 20_000, 512
_FARTHEST = 5.0  # Å; elements that never come nearer have not met

Distances = dict[str, float]


def shortest_distances(stores: Iterable[FrameStore]) -> Distances:
    """Shortest distances in Å of pairs of elements, by their symbols ("C-H").

    Of at most 20,000 structures a set, spread over it; images in cells are left out.
    """
    found: Distances = {}
    for store in stores:
        count = len(store.frames)
        chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST)).astype(int))
        sizes = store.n_atoms[chosen]
        for size in np.unique(sizes):
            same = chosen[sizes == size]
            for k in range(0, len(same), _TOGETHER):
                batch = store.batch(same[k : k + _TOGETHER])
                _note(found, batch.numbers.numpy(), batch.positions.numpy())
    return {pair: round(found[pair], 3) for pair in sorted(found)}


def nearest(each: Iterable[Distances]) -> Distances:
    """Shorter ones of several, of all pairs in any of them."""
    found: Distances = {}
    for distances in each:
        for pair, distance in distances.items():
            found[pair] = min(distance, found.get(pair, np.inf))
    return dict(sorted(found.items()))


def _note(
    found: Distances, numbers: npt.NDArray[np.int64], positions: npt.NDArray[np.float32]
) -> None:
    """Take shorter distances of structures (M, N) over."""
    first, second = np.triu_indices(numbers.shape[1], 1)
    apart = np.linalg.norm(positions[:, first] - positions[:, second], axis=-1)
    pairs = np.sort(numbers[:, [first, second]], axis=1).transpose(0, 2, 1)
    near = apart < _FARTHEST
    kinds = pairs[near][:, 0] * len(chemical_symbols) + pairs[near][:, 1]
    distances = apart[near]
    for kind in np.unique(kinds):
        low, high = divmod(int(kind), len(chemical_symbols))
        name = f"{chemical_symbols[low]}-{chemical_symbols[high]}"
        shortest = float(distances[kinds == kind].min())
        found[name] = min(shortest, found.get(name, np.inf))
