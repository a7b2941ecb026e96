"""How far two structures of the same atoms are from each other."""

import warnings

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

Array = npt.NDArray[np.float64]


def mean_displacement(positions: Array, reference: Array) -> float:
    """Mean distance in Å between two structures after the best proper rotation.

    Args:
        positions: (N, 3).
        reference: (N, 3), atoms in the same order.
    """
    return float(np.linalg.norm(_apart(positions, reference), axis=1).mean())


def rmsd(positions: Array, reference: Array) -> float:
    """Root mean square distance in Å after the best proper rotation.

    Args:
        positions: (N, 3).
        reference: (N, 3), atoms in the same order.
    """
    return float(np.sqrt((_apart(positions, reference) ** 2).sum(axis=1).mean()))


def superpose(
    positions: Array, reference: Array, atoms: npt.NDArray[np.int64] | None = None
) -> Array:
    """Positions turned and shifted onto a reference, (N, 3) Å.

    Kabsch, Acta Cryst. A 32, 922 (1976), without mirror images: those are of another
    molecule.

    Args:
        positions: (N, 3).
        reference: (N, 3), atoms in the same order.
        atoms: Those that shall meet; all by default.
    """
    some = slice(None) if atoms is None else atoms
    centre, goal = positions[some].mean(axis=0), reference[some].mean(axis=0)
    turn = _best_rotation(positions[some] - centre, reference[some] - goal)
    turned: Array = turn.apply(positions - centre) + goal
    return turned


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


def _apart(positions: Array, reference: Array) -> Array:
    """What is left between the two."""
    shifts: Array = superpose(positions, reference) - reference
    return shifts
