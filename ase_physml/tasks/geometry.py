"""How far two structures of the same atoms are from each other."""

import numpy as np
import numpy.typing as npt

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

    Kabsch, Acta Cryst. A 32, 922 (1976).

    Args:
        positions: (N, 3).
        reference: (N, 3), atoms in the same order.
        atoms: Those that shall meet; all by default.
    """
    some = slice(None) if atoms is None else atoms
    centre, goal = positions[some].mean(axis=0), reference[some].mean(axis=0)
    u, _, v = np.linalg.svd((positions[some] - centre).T @ (reference[some] - goal))
    # A mirror image is another molecule: only proper rotations may align it.
    u[:, -1] *= np.sign(np.linalg.det(u @ v))
    turned: Array = (positions - centre) @ (u @ v) + goal
    return turned


def _apart(positions: Array, reference: Array) -> Array:
    """What is left between the two."""
    shifts: Array = superpose(positions, reference) - reference
    return shifts
