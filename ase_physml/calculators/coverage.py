"""Distances that a potential has not seen in training."""

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from scipy.spatial.distance import pdist

from ase_physml.calculators.advice import Advice
from ase_physml.store.card import ModelCard

# Of the shortest distance in training: what is nearer is beyond it.
_CLOSER = 0.9
# Å; two elements that never met are told of from here on. Atoms of larger structures
# are too many to be looked at in passing.
_NEAR, _MOST = 3.5, 300


class Coverage:
    """Look at the first structure of each composition, for what training has not seen.

    Args:
        card: Card of the potential; None of a module.
        advice: What warns.
    """

    def __init__(self, card: ModelCard | None, advice: Advice) -> None:
        self.shortest = card.shortest if card is not None else {}
        below = card.baseline if card is not None else ""
        self.instead = below or "another method, such as tblite:GFN2-xTB"
        self.advice = advice
        self._looked_at: set[bytes] = set()

    def look_at(self, atoms: Atoms) -> None:
        """Warn, once, if two atoms of a structure are nearer than any in training."""
        if not (self.shortest and self.advice.of_distances):
            return
        composition = atoms.numbers.tobytes()
        if composition not in self._looked_at:
            self._looked_at.add(composition)
            if said := unseen_distance(atoms, self.shortest):
                self.advice.warn_of_distances(said, self.instead)


def unseen_distance(atoms: Atoms, shortest: Mapping[str, float]) -> str:
    """Sentence on the pair of atoms that is farthest from training; "" if none is.

    Args:
        atoms: Structure; images in its cell are left out.
        shortest: Shortest distance of pairs of elements in training, Å, by symbols in
            the order of atomic numbers ("H-C").
    """
    if not shortest or not 1 < len(atoms) <= _MOST:
        return ""
    distances = pdist(atoms.positions)
    first, second = np.triu_indices(len(atoms), 1)
    kinds = np.sort(np.stack([atoms.numbers[first], atoms.numbers[second]]), axis=0)
    names = [f"{chemical_symbols[a]}-{chemical_symbols[b]}" for a, b in kinds.T]
    known = np.array([shortest.get(name, np.inf) for name in names])
    # Elements that never met may be as near as they like, beyond some distance.
    ratio = distances / np.where(np.isinf(known), _NEAR / _CLOSER, known)
    worst = int(np.argmin(ratio))
    if ratio[worst] >= _CLOSER:
        return ""
    i, j = int(first[worst]), int(second[worst])
    pair = (
        f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) are "
        f"{distances[worst]:.2f} Å apart"
    )
    if np.isinf(known[worst]):
        return f"{pair}, two elements that its training has not seen together"
    return f"{pair}; its training has seen {known[worst]:.2f} Å and more"
