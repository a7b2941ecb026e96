"""The two ends of a reaction path: the same atoms, in the same order, face to face."""

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.data import chemical_symbols
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist, pdist, squareform

from ase_physml.errors import StructureError

# Å; no bond is shorter than 0.74 Å, and a path may squeeze one.
_COLLISION = 0.4
_ROUNDS = 20


def align_ends(reactant: Atoms, product: Atoms, match: bool = False) -> Atoms:
    """The product turned and shifted onto the reactant.

    Args:
        reactant: One end.
        product: The other, of the same atoms.
        match: Reorder the product's atoms, each element within itself, so that they
            move as little as possible. A guess: right where few atoms move far.

    Returns:
        A copy of the product.

    Raises:
        StructureError: Other atoms, or the same in another order, and which.
    """
    _check_same_atoms(reactant, product, match)
    aligned: Atoms = product.copy()
    if match:
        aligned = _matched(reactant, aligned)
    minimize_rotation_and_translation(reactant, aligned)
    return aligned


def _check_same_atoms(reactant: Atoms, product: Atoms, match: bool) -> None:
    if sorted(reactant.numbers) != sorted(product.numbers):
        raise StructureError(
            f"the ends are different molecules: {reactant.get_chemical_formula()} and "
            f"{product.get_chemical_formula()}"
        )
    wrong = np.flatnonzero(reactant.numbers != product.numbers)
    if len(wrong) and not match:
        i = int(wrong[0])
        one, other = (chemical_symbols[end.numbers[i]] for end in (reactant, product))
        raise StructureError(
            f"the atoms of the ends are in different order: atom {i} is {one} in one "
            f"and {other} in the other; reorder them, or have them matched (--match)"
        )


def _matched(reactant: Atoms, product: Atoms) -> Atoms:
    """Turns of aligning and assigning atoms, until no assignment changes."""
    order = _first_order(reactant, product)
    for _ in range(_ROUNDS):
        trial = product[order]
        minimize_rotation_and_translation(reactant, trial)
        better = order[_assignment(reactant, trial)]
        if np.array_equal(better, order):
            break
        order = better
    matched: Atoms = product[order]
    return matched


def _first_order(reactant: Atoms, product: Atoms) -> np.ndarray:
    """By surroundings, which need no common frame: sorted distances to each element."""
    cost = _apart(reactant, product)
    for z in set(reactant.numbers):
        mine, other = (_surroundings(end, z) for end in (reactant, product))
        cost = cost + cdist(mine, other)
    return np.asarray(linear_sum_assignment(cost)[1])


def _surroundings(atoms: Atoms, number: int) -> np.ndarray:
    distances = squareform(pdist(atoms.positions))[:, atoms.numbers == number]
    # Near ones tell more.
    weights: np.ndarray = np.exp(-0.5 * np.sort(distances, axis=1))
    return weights


def _assignment(reactant: Atoms, product: Atoms) -> np.ndarray:
    cost = cdist(reactant.positions, product.positions, "sqeuclidean")
    return np.asarray(linear_sum_assignment(cost + _apart(reactant, product))[1])


def _apart(reactant: Atoms, product: Atoms) -> np.ndarray:
    """A cost that no assignment pays: atoms of different elements."""
    differ: np.ndarray = reactant.numbers[:, None] != product.numbers[None, :]
    return 1e6 * differ


def check_path(images: list[Atoms]) -> None:
    """Refuse a path on which atoms collide.

    Raises:
        StructureError: Naming the image and the atoms.
    """
    for index, image in enumerate(images):
        distances = squareform(pdist(image.positions)) + 10.0 * np.eye(len(image))
        i, j = np.unravel_index(distances.argmin(), distances.shape)
        if distances[i, j] < _COLLISION:
            raise StructureError(
                f"atoms {i} ({image.symbols[i]}) and {j} ({image.symbols[j]}) come "
                f"within {distances[i, j]:.2f} Å of each other at image {index} of the "
                "interpolated path; are the atoms of both ends in the same order?"
            )
