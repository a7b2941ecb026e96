"""Alignment of structures: superposition, and the two ends of a reaction path.

The ends have the same atoms in the same order, face to face. Whether they may be turned
and shifted is decided here, by `placement_of`: molecules without constraints may. What
lies in a cell, or is held in space, stays where it is.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.data import chemical_symbols
from ase.geometry import find_mic
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.spatial.transform import Rotation

from ase_physml.data.frame import Array
from ase_physml.errors import StructureError
from ase_physml.workflows.constraints import (
    check_allowed,
    check_same_constraints,
    holds_in_space,
    names_of,
)

# Å; cells that differ by less were rounded by a file.
_ROUNDED = 1e-4
_ROUNDS = 20
# amu Å^2; a smaller moment of inertia is that of a line: an H 0.14 Å off it.
_LINE = 0.02


def mean_displacement(positions: Array, reference: Array) -> float:
    """Mean distance between two structures after the best proper rotation, Å.

    Args:
        positions: Positions, (N, 3), Å.
        reference: Positions of the same atoms in the same order, (N, 3), Å.
    """
    return float(np.linalg.norm(_displacements(positions, reference), axis=1).mean())


def rmsd(positions: Array, reference: Array) -> float:
    """Root mean square distance after the best proper rotation, Å.

    Args:
        positions: Positions, (N, 3), Å.
        reference: Positions of the same atoms in the same order, (N, 3), Å.
    """
    return float(
        np.sqrt((_displacements(positions, reference) ** 2).sum(axis=1).mean())
    )


def superpose(
    positions: Array, reference: Array, atoms: npt.NDArray[np.int64] | None = None
) -> Array:
    """Positions turned and shifted onto a reference, (N, 3), Å.

    Kabsch, Acta Cryst. A 32, 922 (1976), without mirror images: those are of another
    molecule.

    Args:
        positions: Positions, (N, 3), Å.
        reference: Positions to meet, (N, 3), Å, of the same atoms in the same order.
        atoms: Indices of the atoms that shall meet; all by default.
    """
    some = slice(None) if atoms is None else atoms
    centre, goal = positions[some].mean(axis=0), reference[some].mean(axis=0)
    turn = _best_rotation(positions[some] - centre, reference[some] - goal)
    turned: Array = turn.apply(positions - centre) + goal
    return turned


def n_rotations(atoms: Atoms) -> int:
    """Number of rotations of a molecule: 3, of a line 2, of an atom 0."""
    moments = atoms.get_moments_of_inertia()
    return 0 if moments[-1] < _LINE else 2 if moments[0] < _LINE else 3


def _best_rotation(vectors: Array, onto: Array) -> Rotation:
    """Rotation of vectors that makes their squared distances from others least."""
    if len(vectors) < 2:  # no direction to turn by
        return Rotation.identity()
    with warnings.catch_warnings():
        # That more than one rotation is best, as of atoms on a line. Which one it is
        # differs with the direction asked for; this is that of the paper.
        warnings.simplefilter("ignore", UserWarning)
        back: Rotation = Rotation.align_vectors(vectors, onto)[0]
    return back.inv()


def _displacements(positions: Array, reference: Array) -> Array:
    """Displacements that superposition leaves, (N, 3), Å."""
    shifts: Array = superpose(positions, reference) - reference
    return shifts


@dataclass(frozen=True)
class Placement:
    """Permission to bring the ends of a path, and its images, together.

    Attributes:
        aligned: Whether they are turned and shifted as a whole.
        periodic: Whether differences are those to the nearest periodic image.
        about: Description of both for people.
    """

    aligned: bool
    periodic: bool
    about: str


def placement_of(atoms: Atoms) -> Placement:
    """Placement that a path of this structure allows."""
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
        reactant: Structure of one end.
        product: Structure of the other, of the same atoms, cell and constraints.
        match: Whether to reorder the product's atoms, each element within itself, so
            that they move as little as possible. A guess: right where few atoms move
            far.

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
        _keep_heavy(reactant, aligned)
    check_allowed(reactant, shifts(reactant, aligned))
    return aligned


def _keep_heavy(reactant: Atoms, product: Atoms) -> None:
    """Turn a line so that its heavy atoms meet: HCN and HNC else exchange C and N."""
    heavy = np.flatnonzero(reactant.numbers != 1)
    if len(heavy) > 1 and n_rotations(reactant) == n_rotations(product) == 2:
        product.positions = superpose(product.positions, reactant.positions, heavy)


def turn_onto(target: Atoms, atoms: Atoms) -> None:
    """Turn and shift a structure as a whole, whatever its constraints, onto another."""
    kept, atoms.constraints = atoms.constraints, []
    try:
        minimize_rotation_and_translation(target, atoms)
    finally:
        atoms.constraints = kept


def shifts(start: Atoms, end: Atoms) -> Array:
    """Displacements, (N, 3), Å, in a cell to the nearest periodic image."""
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
    """Refuse ends of different charges: images have that of the reactant."""
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
    """The product, aligned and assigned in turn until no assignment changes."""
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
    """Assignment by surroundings, sorted distances to each element, in any frame."""
    cost = _forbidden(reactant, product)
    for z in set(reactant.numbers):
        mine, other = (_surroundings(end, z) for end in (reactant, product))
        cost = cost + cdist(mine, other)
    return np.asarray(linear_sum_assignment(cost)[1])


def _surroundings(atoms: Atoms, number: int) -> np.ndarray:
    lengths = squareform(pdist(atoms.positions))[:, atoms.numbers == number]
    # Near ones tell more.
    weights: np.ndarray = np.exp(-0.5 * np.sort(lengths, axis=1))
    return weights


def _assignment(reactant: Atoms, product: Atoms) -> np.ndarray:
    cost = distances(reactant, product) ** 2
    return np.asarray(linear_sum_assignment(cost + _forbidden(reactant, product))[1])


def distances(one: Atoms, other: Atoms) -> Array:
    """Distances between two structures, (N, M), Å, in a cell to the nearest image."""
    if not one.pbc.any():
        return np.asarray(cdist(one.positions, other.positions))
    apart = other.positions[None] - one.positions[:, None]
    _, lengths = find_mic(apart.reshape(-1, 3), one.cell, one.pbc)
    return np.asarray(lengths).reshape(len(one), len(other))


def _forbidden(reactant: Atoms, product: Atoms) -> np.ndarray:
    """Cost of assigning atoms of different elements, (N, M), which none pays."""
    differ: np.ndarray = reactant.numbers[:, None] != product.numbers[None, :]
    return 1e6 * differ
