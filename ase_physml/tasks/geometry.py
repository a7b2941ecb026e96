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
    return float(np.linalg.norm(_aligned(positions, reference), axis=1).mean())


def rmsd(positions: Array, reference: Array) -> float:
    """Root mean square distance in Å after the best proper rotation.

    Args:
        positions: (N, 3).
        reference: (N, 3), atoms in the same order.
    """
    return float(np.sqrt((_aligned(positions, reference) ** 2).sum(axis=1).mean()))


def _aligned(positions: Array, reference: Array) -> Array:
    """What is left between the two. Kabsch, Acta Cryst. A 32, 922 (1976)."""
    a = positions - positions.mean(axis=0)
    b = reference - reference.mean(axis=0)
    u, _, v = np.linalg.svd(a.T @ b)
    # A mirror image is another molecule: only proper rotations may align it.
    u[:, -1] *= np.sign(np.linalg.det(u @ v))
    shifts: Array = a @ (u @ v) - b
    return shifts
