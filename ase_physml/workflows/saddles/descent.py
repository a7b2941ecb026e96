"""Steepest descent from a saddle, both ways: the intrinsic reaction coordinate.

In mass-weighted coordinates, by steps that are exact on the local quadratic surface
(Page and McIver, J. Chem. Phys. 88, 922, 1988); the rest of the way to the minimum is
`descend`'s.
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from ase_physml.data.frame import Array
from ase_physml.workflows.saddles.eigenvector_following import Place, descend
from ase_physml.workflows.together import Task
from ase_physml.workflows.vibrations.hessian import Hessian, inner_basis

# Å; first displacement of the atom that moves most.
_FIRST = 0.08
# Å amu^1/2; length of a step, and how many there are at most.
_STEP, _STEPS = 0.2, 40
# eV/Å; a valley with less slope is taken for the floor.
_FLAT = 0.1


@dataclass(frozen=True)
class Descent:
    """A way down from a saddle.

    Attributes:
        images: Structures from the saddle on, the last of them the minimum.
        energies: Their energies, eV, (K,).
        converged: Whether the last is a minimum, to the threshold asked for.
    """

    images: list[Atoms]
    energies: Array
    converged: bool

    @property
    def minimum(self) -> Atoms:
        """Structure at its end."""
        return self.images[-1]


def descent_task(
    saddle: Hessian, mode: Array, fmax: float, steps: int
) -> Task[Descent]:
    """Task of the way down to one side.

    Args:
        saddle: Second derivatives at the saddle.
        mode: Displacement to the side, (N, 3), of any length.
        fmax: Threshold of the largest force at the minimum, eV/Å.
        steps: Largest number of steps to the minimum after the steepest descent.
    """
    here = Place.of(saddle)
    images, energies = [saddle.atoms.copy()], [here.energy]
    longest = np.linalg.norm(mode, axis=1).max()
    step: Array | None = (_FIRST / longest * mode[saddle.free]).ravel()
    for _ in range(_STEPS):
        if step is None:
            break
        there = yield from here.moved(step)
        if there.energy > here.energy + 1e-4:
            break
        here = there
        images.append(here.atoms)
        energies.append(here.energy)
        if here.force < _FLAT and len(images) > 3:
            break
        step = steepest_step(here, saddle.masses)
    walk = yield from descend(here, fmax, steps)
    images.append(walk.place.atoms)
    energies.append(walk.place.energy)
    return Descent(images, np.array(energies), walk.converged)


def steepest_step(here: Place, masses: Array, length: float = _STEP) -> Array | None:
    """Step of steepest descent on the quadratic surface here, (3n,), Å.

    Args:
        here: Place to step from.
        masses: Masses of the coordinates, (3n,), amu.
        length: Length of the step, Å amu^1/2.

    Returns:
        None where the floor of the valley is nearer than a step.
    """
    root = np.sqrt(masses)
    basis = inner_basis(here.atoms, here.free, masses)
    weighted = here.matrix / np.outer(root, root)
    values, vectors = np.linalg.eigh(basis.T @ weighted @ basis)
    slopes = vectors.T @ (basis.T @ (here.gradient / root))

    def moved(time: float) -> Array:
        exponents = np.clip(-values * time, -50.0, 50.0)
        flat = np.abs(values) < 1e-9
        shares = -np.expm1(exponents) / np.where(flat, 1.0, values)
        steps: Array = -slopes * np.where(flat, time, shares)
        return steps

    low, high = -12.0, 8.0  # logarithms of the time
    if np.linalg.norm(moved(np.exp(high))) < length:
        return None
    for _ in range(60):
        middle = 0.5 * (low + high)
        short = np.linalg.norm(moved(np.exp(middle))) < length
        low, high = (middle, high) if short else (low, middle)
    step: Array = (basis @ (vectors @ moved(np.exp(low)))) / root
    return step
