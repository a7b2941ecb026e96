"""The two ends of a reaction path: the same atoms, in the same order, face to face.

Whether ends may be turned and shifted is decided here, by `placement_of`: molecules
without constraints may. What lies in a cell, or is held in space, stays where it is.
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.data import chemical_symbols
from ase.geometry import find_mic
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist, pdist, squareform

from ase_physml.data.frame import Array
from ase_physml.errors import StructureError
from ase_physml.workflows.constraints import (
    check_allowed,
    check_same_constraints,
    holds_in_space,
    names_of,
)

# Å; no bond is shorter than 0.74 Å, and a path may squeeze one.
_COLLISION = 0.4
# Å; two atoms that trade places meet in the middle.
_MEETING = 0.05
# Å; cells that differ by less were rounded by a file.
_ROUNDED = 1e-4
_ROUNDS = 20


@dataclass(frozen=True)
class Placement:
    """How the ends of a path, and its images, may be brought together.

    Attributes:
        aligned: By turning and shifting them as a whole.
        periodic: Differences are those to the nearest periodic image.
        about: Both in words.
    """

    aligned: bool
    periodic: bool
    about: str


def placement_of(atoms: Atoms) -> Placement:
    """How images of a path of this structure may be brought together."""
    held = [one for one in atoms.constraints if holds_in_space(one)]
    if atoms.pbc.any():
        also = f", {names_of(atoms)} kept" if len(atoms.constraints) else ""
        return Placement(
            False, True, f"not aligned: periodic; by minimum-image differences{also}"
        )
    if held:
        return Placement(False, False, f"not aligned: held by {names_of(atoms)}")
    return Placement(True, False, "product aligned with reactant")


def align_ends(reactant: Atoms, product: Atoms, match: bool = False) -> Atoms:
    """The product, turned and shifted onto the reactant where that is allowed.

    Structures in a cell and those with constraints that hold atoms in space stay where
    they are; see `placement_of`.

    Args:
        reactant: One end.
        product: The other, of the same atoms, cell and constraints.
        match: Reorder the product's atoms, each element within itself, so that they
            move as little as possible. A guess: right where few atoms move far.

    Returns:
        A copy of the product.

    Raises:
        StructureError: Other atoms, or the same in another order, and which; other
            cells, charges or constraints; or constraints that allow no path.
    """
    _check_same_atoms(reactant, product, match)
    _check_same_cell(reactant, product)
    _check_same_charge(reactant, product)
    placement = placement_of(reactant)
    aligned: Atoms = product.copy()
    if placement.periodic:
        aligned.set_cell(reactant.cell)
    if match:
        aligned = _matched(reactant, aligned, placement.aligned)
    check_same_constraints(reactant, aligned)
    if placement.aligned:
        turn_onto(reactant, aligned)
    check_allowed(reactant, shifts(reactant, aligned))
    return aligned


def turn_onto(target: Atoms, atoms: Atoms) -> None:
    """Turn and shift a structure as a whole, whatever its constraints, onto another."""
    kept, atoms.constraints = atoms.constraints, []
    try:
        minimize_rotation_and_translation(target, atoms)
    finally:
        atoms.constraints = kept


def shifts(start: Atoms, end: Atoms) -> Array:
    """Displacements, Å (N, 3), in a cell to the nearest periodic image."""
    apart: Array = end.positions - start.positions
    if start.pbc.any():
        apart = find_mic(apart, start.cell, start.pbc)[0]
    return apart


def _check_same_cell(reactant: Atoms, product: Atoms) -> None:
    if (reactant.pbc != product.pbc).any():
        raise StructureError(
            f"the ends have different boundary conditions: pbc is {reactant.pbc} in "
            f"one and {product.pbc} in the other"
        )
    apart = np.abs(np.asarray(reactant.cell) - np.asarray(product.cell)).max(axis=1)
    worst = int(np.where(reactant.pbc, apart, 0.0).argmax())
    if reactant.pbc[worst] and apart[worst] > _ROUNDED:
        one, other = (np.round(end.cell[worst], 4) for end in (reactant, product))
        raise StructureError(
            f"the ends have different cells: lattice vector {worst} is {one} Å in one "
            f"and {other} Å in the other; relax both in the same cell"
        )


def _check_same_charge(reactant: Atoms, product: Atoms) -> None:
    """All images have what the reactant says."""
    for key in ("charge", "spin"):
        one, other = (end.info.get(key) for end in (reactant, product))
        if one is not None and other is not None and not np.array_equal(one, other):
            raise StructureError(
                f"the ends have different info[{key!r}]: {one} and {other}"
            )
    one, other = (float(end.get_initial_charges().sum()) for end in (reactant, product))
    if abs(one - other) > 0.5:
        raise StructureError(
            f"the initial charges of the ends add up to {one:+g} and {other:+g}; a "
            "path has one charge"
        )


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


def _matched(reactant: Atoms, product: Atoms, aligned: bool) -> Atoms:
    """Turns of aligning and assigning atoms, until no assignment changes."""
    if not aligned:
        return _reordered(product, _assignment(reactant, product))
    order = _first_order(reactant, product)
    for _ in range(_ROUNDS):
        trial = product[order]
        turn_onto(reactant, trial)
        better = order[_assignment(reactant, trial)]
        if np.array_equal(better, order):
            break
        order = better
    return _reordered(product, order)


def _reordered(product: Atoms, order: np.ndarray) -> Atoms:
    # Some constraints do not survive it.
    if np.array_equal(order, np.arange(len(product))):
        return product
    reordered: Atoms = product[order]
    return reordered


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
    cost = _distances(reactant, product) ** 2
    return np.asarray(linear_sum_assignment(cost + _apart(reactant, product))[1])


def _distances(one: Atoms, other: Atoms) -> Array:
    """Between the atoms of two structures, Å (N, M), in a cell to the nearest image."""
    if not one.pbc.any():
        return np.asarray(cdist(one.positions, other.positions))
    apart = other.positions[None] - one.positions[:, None]
    _, lengths = find_mic(apart.reshape(-1, 3), one.cell, one.pbc)
    return np.asarray(lengths).reshape(len(one), len(other))


def _apart(reactant: Atoms, product: Atoms) -> np.ndarray:
    """A cost that no assignment pays: atoms of different elements."""
    differ: np.ndarray = reactant.numbers[:, None] != product.numbers[None, :]
    return 1e6 * differ


def check_meeting(images: list[Atoms]) -> None:
    """Refuse a straight path on which atoms trade places: no interpolation survives it.

    Raises:
        StructureError: Naming the image and the atoms.
    """
    for index, image in enumerate(images):
        i, j, distance = _closest(image)
        if distance < _MEETING:
            raise StructureError(
                f"atoms {i} ({image.symbols[i]}) and {j} ({image.symbols[j]}) run into "
                f"each other at image {index} of the straight path: does their order "
                "differ between the ends? exchange them in one end, or have atoms "
                "matched (--match)"
            )


def check_path(images: list[Atoms]) -> None:
    """Refuse a path on which atoms collide, or are nowhere.

    Raises:
        StructureError: Naming the image and the atoms.
    """
    for index, image in enumerate(images):
        lost = np.flatnonzero(~np.isfinite(image.positions).all(axis=1))
        if len(lost):
            raise StructureError(
                f"the interpolation put atom {lost[0]} ({image.symbols[lost[0]]}) of "
                f"image {index} nowhere ({image.positions[lost[0]]}): does the order "
                "of atoms differ between the ends?"
            )
        i, j, distance = _closest(image)
        if distance < _COLLISION:
            raise StructureError(
                f"atoms {i} ({image.symbols[i]}) and {j} ({image.symbols[j]}) come "
                f"within {distance:.2f} Å of each other at image {index} of the "
                "interpolated path; are the atoms of both ends in the same order?"
            )


def _closest(image: Atoms) -> tuple[int, int, float]:
    """The two atoms nearest to each other, and their distance, Å."""
    distances = _distances(image, image) + 1e3 * np.eye(len(image))
    i, j = np.unravel_index(distances.argmin(), distances.shape)
    return int(i), int(j), float(distances[i, j])
