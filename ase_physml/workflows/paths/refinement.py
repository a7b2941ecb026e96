"""Where a band sees too little: more images where bonds change.

A band of few images may cross a barrier between two of them, the more so where a change
of conformation takes the others. Nothing in its energies says so; bonds do.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.special import expit

from ase_physml.chem.bonds import summed_radii
from ase_physml.data.frame import Array
from ase_physml.workflows.alignment import distances
from ase_physml.workflows.paths.interpolation import interpolate

# In sums of covalent radii: where a bond is half there, and over what it fades.
_HALF, _WIDTH = 1.4, 0.08
# Bonds; less change in all is none.
_NONE = 0.5
UNSEEN = 0.5
"""Number of bonds whose change between two images is seen by neither of them."""
# Share of the change of bonds that lies in the window.
_MOST = 0.8


def bond_changes(images: Sequence[Atoms]) -> Array:
    """Number of bonds that change between neighbouring images, (K - 1,)."""
    counts = [_bonds(image) for image in images]
    return np.array(
        [np.abs(there - here).sum() / 2 for here, there in pairwise(counts)]
    )


def _bonds(atoms: Atoms) -> Array:
    count = len(atoms)
    every = np.indices((count, count)).reshape(2, -1)
    relative = distances(atoms, atoms)
    relative /= summed_radii(atoms.numbers, every).reshape(count, count)
    np.fill_diagonal(relative, np.inf)
    found: Array = expit((_HALF - relative) / _WIDTH)
    return found


def window_of(images: Sequence[Atoms], most: float = 0.7) -> tuple[int, int] | None:
    """First and last image of the part of a band where bonds change, with one beside.

    Args:
        images: Images of the band.
        most: Largest share of the band that is a part of it.

    Returns:
        None where no bond changes, where enough images see it, or where the part is
        most of the band.
    """
    changes = bond_changes(images)
    if changes.sum() < _NONE or changes.max() < UNSEEN:
        return None
    done = np.concatenate([[0.0], np.cumsum(changes)])
    pairs = [
        (i, j)
        for i in range(len(images))
        for j in range(i + 1, len(images))
        if done[j] - done[i] >= _MOST * done[-1]
    ]
    first, last = min(pairs, key=lambda pair: (pair[1] - pair[0], done[pair[0]]))
    first, last = max(first - 1, 0), min(last + 1, len(images) - 1)
    return (first, last) if last - first <= most * (len(images) - 1) else None


def refined(images: Sequence[Atoms], count: int) -> list[Atoms]:
    """Part of a band with more images, most of them where most bonds change.

    Args:
        images: Images of the part, which stay.
        count: Number of images at least.

    Raises:
        StructureError: Atoms of two neighbours run into each other.
    """
    changes = bond_changes(images)
    shares = _shares(changes + 0.1 * changes.max(), count - 1)
    found = [images[0].copy()]
    for here, there, steps in zip(images, images[1:], shares, strict=False):
        between = [*(here.copy() for _ in range(steps)), there.copy()]
        if steps > 1:
            interpolate(between, "idpp", apply_constraint=True)
        found += between[1:]
    return found


def _shares(weights: Array, total: int) -> npt.NDArray[np.int64]:
    """Steps of each part, one at least, so that the largest is least."""
    found = np.ones(len(weights), dtype=np.int64)
    while found.sum() < total:
        found[(weights / found).argmax()] += 1
    return found
