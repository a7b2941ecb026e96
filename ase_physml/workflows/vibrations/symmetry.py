"""Symmetry number of a molecule: rotations that bring it onto itself."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.spatial.distance import cdist

from ase_physml.data.frame import Array
from ase_physml.workflows.alignment import n_rotations, superpose

TOLERANCE = 0.1
"""Distance, Å, within which atoms count as brought onto each other: relaxed structures
are symmetric to about that."""

# amu; isotopes differ by more, and rounded masses of one by less.
_ONE_MASS = 0.1
_FAR = 1e3  # Å, of atoms that are none to be brought onto


def symmetry_number(atoms: Atoms, tolerance: float = TOLERANCE) -> int:
    """Number of rotations that bring a molecule onto itself, by its geometry.

    Isotopes count as different atoms. Rotations about bonds are none of them.

    Args:
        atoms: Molecule.
        tolerance: Distance that may be left between an atom and its image, Å.
    """
    centred = atoms.positions - atoms.get_center_of_mass()
    alike = _alike(atoms)
    rotations = n_rotations(atoms)
    if rotations == 0:
        return 1
    if rotations == 2:
        return 2 if _maps(centred, -centred, alike, tolerance) else 1
    found = {tuple(range(len(atoms)))}
    for turn in _candidates(centred, alike, tolerance):
        onto = (cdist(centred @ turn.T, centred) + _FAR * ~alike).argmin(axis=1)
        if len(set(onto)) < len(onto) or tuple(onto) in found:
            continue
        # Two atoms alone say where the others go only roughly.
        best = superpose(centred, centred[onto])
        if _maps(centred, best, alike, tolerance):
            found.add(tuple(onto.tolist()))
    return len(found)


def _alike(atoms: Atoms) -> npt.NDArray[np.bool_]:
    masses = atoms.get_masses()
    same = np.abs(masses[:, None] - masses) < _ONE_MASS
    return np.asarray(same & (atoms.numbers[:, None] == atoms.numbers))


def _maps(
    start: Array, turned: Array, alike: npt.NDArray[np.bool_], tolerance: float
) -> bool:
    """Whether each atom comes to one of its kind, no two to the same."""
    near = (cdist(turned, start) < tolerance) & alike
    return bool((near.sum(axis=0) == 1).all() and (near.sum(axis=1) == 1).all())


def _candidates(
    centred: Array, alike: npt.NDArray[np.bool_], tolerance: float
) -> Iterator[Array]:
    """Rotations that bring two atoms of the molecule onto two of their kinds."""
    distances = cdist(centred, centred)
    from_centre = np.linalg.norm(centred, axis=1)
    first, second = _reference(centred, alike)
    for i in np.flatnonzero(alike[first]):
        if abs(from_centre[i] - from_centre[first]) > tolerance:
            continue
        for j in np.flatnonzero(alike[second]):
            apart = abs(distances[i, j] - distances[first, second])
            off = abs(from_centre[j] - from_centre[second])
            if i != j and apart < 2 * tolerance and off < tolerance:
                yield _turn(centred[[first, second]], centred[[i, j]])


def _reference(centred: Array, alike: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Two atoms not in line with the centre, of which there are few and far out."""
    kinds = alike.sum(axis=1)
    lengths = np.linalg.norm(centred, axis=1)
    order = [k for k in np.lexsort((-lengths, kinds)) if lengths[k] > 0.3]
    for first in order:
        for second in order:
            area = np.linalg.norm(np.cross(centred[first], centred[second]))
            if area > 0.6 * lengths[first] * lengths[second]:
                return int(first), int(second)
    return int(order[0]), int(order[-1])


def _turn(pair: Array, onto: Array) -> Array:
    """Rotation from the frame of two vectors to that of two others, (3, 3)."""
    turn: Array = _frame(onto).T @ _frame(pair)
    return turn


def _frame(pair: Array) -> Array:
    one, two = pair[0] / np.linalg.norm(pair[0]), pair[1] / np.linalg.norm(pair[1])
    first = (one + two) / np.linalg.norm(one + two)
    third = np.cross(one, two)
    third /= np.linalg.norm(third)
    return np.array([first, np.cross(third, first), third])
