"""Steps on a surface of which gradient and second derivatives are known.

To a minimum, or up along one mode and down along all others, to a saddle: partitioned
rational function optimisation (P-RFO; Banerjee, Adams, Simons and Shepard, J. Phys.
Chem. 89, 52, 1985). Second derivatives are computed at the start and updated from then
on (Bofill, J. Comput. Chem. 15, 1, 1994); what counts as converged is where computed
ones say so.
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from ase_physml.data.frame import Array
from ase_physml.errors import StructureError
from ase_physml.workflows.together import Task
from ase_physml.workflows.vibrations.hessian import Hessian, hessian_task, inner_basis

# Å; largest displacement of an atom in a step: at first, at least and at most.
_TRUST, _SHORT, _LONG = 0.1, 0.02, 0.2
# Steps after which second derivatives are computed anew.
_RENEW = 10
# Å; displacement along a mode that should not be imaginary, and how often.
_PUSH, _PUSHES = 0.1, 3
# eV/Å^2; a mode of less curvature down leads nowhere.
_DOWN = 0.05
# eV; what energies may be off by for a step to count, and for no trust to be lost.
_NOISE, _SMALL = 0.01, 0.004
# Renewals at which no mode is imaginary, after which a walk is lost.
_LOST = 2


@dataclass
class Place:
    """A point of a walk.

    Attributes:
        atoms: Structure, without constraints but the masses and the cell it has.
        free: Indices of the atoms that move, (n,).
        energy: Energy, eV.
        gradient: Gradient of the free atoms, (3n,), eV/Å.
        matrix: Second derivatives, computed or updated, (3n, 3n), eV/Å^2.
    """

    atoms: Atoms
    free: np.ndarray
    energy: float
    gradient: Array
    matrix: Array

    @classmethod
    def of(cls, hessian: Hessian) -> "Place":
        """Place of computed second derivatives."""
        atoms = hessian.atoms.copy()
        gradient = -hessian.forces.ravel()
        return cls(atoms, hessian.free, hessian.energy, gradient, hessian.matrix.copy())

    @property
    def force(self) -> float:
        """Largest force on an atom, eV/Å."""
        return float(np.linalg.norm(self.gradient.reshape(-1, 3), axis=1).max())

    @property
    def basis(self) -> Array:
        """Basis of all motions but the rigid ones, (3n, m)."""
        return inner_basis(self.atoms, self.free, np.ones(len(self.gradient)))

    def moved(self, step: Array, down: bool = False) -> Task["Place"]:
        """Task of the place a step (3n,) in Å away.

        Args:
            step: Step, (3n,), Å.
            down: Whether on the way to a minimum, where curvatures are positive.

        Raises:
            StructureError: Energy or forces are not finite there.
        """
        atoms = self.atoms.copy()
        atoms.constraints = []
        atoms.positions[self.free] += step.reshape(-1, 3)
        (found,) = yield [atoms]
        gradient = -found["forces"][self.free].ravel()
        if not np.isfinite([found["energy"], *gradient]).all():
            raise StructureError("energy or forces are not finite on the way")
        update = convex if down else updated
        matrix = update(self.matrix, step, gradient - self.gradient)
        atoms.constraints = self.atoms.constraints
        return Place(atoms, self.free, float(found["energy"]), gradient, matrix)


@dataclass(frozen=True)
class Walk:
    """A walk to a stationary point.

    Attributes:
        place: Where it ended.
        forces: Largest force at the start and every step, eV/Å.
        converged: Whether the last of them is below the threshold.
    """

    place: Place
    forces: tuple[float, ...]
    converged: bool


def updated(matrix: Array, step: Array, change: Array) -> Array:
    """Second derivatives after a step, by Bofill's formula.

    Args:
        matrix: Those before, (3n, 3n), eV/Å^2.
        step: Step, (3n,), Å.
        change: Change of the gradient, (3n,), eV/Å.
    """
    error = change - matrix @ step
    square, along = float(step @ step), float(error @ step)
    size = float(error @ error)
    if square < 1e-16 or size < 1e-16:
        return matrix
    share = along**2 / (square * size)
    rank_one = np.outer(error, error) / along if abs(along) > 1e-12 else 0.0
    both = np.outer(error, step) + np.outer(step, error)
    powell = both / square - along * np.outer(step, step) / square**2
    found: Array = matrix + share * rank_one + (1.0 - share) * powell
    return found


def convex(matrix: Array, step: Array, change: Array) -> Array:
    """As `updated`, by the formula of BFGS: curvatures that are positive stay so."""
    along, bent = float(change @ step), matrix @ step
    curved = float(step @ bent)
    if along <= 1e-10 or curved <= 1e-10:
        return updated(matrix, step, change)
    found: Array = (
        matrix + np.outer(change, change) / along - np.outer(bent, bent) / curved
    )
    return found


def descend(start: Place, fmax: float, steps: int) -> Task[Walk]:
    """Task of a walk down to a minimum.

    Args:
        start: Start, whose second derivatives may be updated ones.
        fmax: Threshold of the largest force, eV/Å.
        steps: Largest number of steps.
    """
    here, trust, forces = start, _TRUST, [start.force]
    while here.force >= fmax and len(forces) <= steps:
        step, _ = rfo_step(here, None, trust)
        there = yield from here.moved(step, down=True)
        trust = _next_trust(here, there, step, trust)
        # Uphill is nowhere to go on from; what was learned there is kept.
        if there.energy > here.energy + 1e-4:
            here.matrix = there.matrix
            forces.append(here.force)
            continue
        here = there
        forces.append(here.force)
    return Walk(here, tuple(forces), here.force < fmax)


@dataclass(frozen=True)
class Climb:
    """A walk up to a saddle.

    Attributes:
        hessian: Second derivatives, computed where it ended.
        forces: Largest force at the start and every step, eV/Å.
        converged: Whether the last of them is below the threshold.
    """

    hessian: Hessian
    forces: tuple[float, ...]
    converged: bool


def climb(
    guess: Atoms, along: Array | None, fmax: float, steps: int, threshold: float
) -> Task[Climb]:
    """Task of a walk to a saddle.

    Args:
        guess: Structure near it.
        along: Direction of the path there, (N, 3); the mode to follow is the one most
            alike. By default the lowest.
        fmax: Threshold of the largest force, eV/Å.
        steps: Largest number of steps.
        threshold: Curvature, eV/Å^2/amu, below whose negative a mode is imaginary.
    """
    hessian = yield from hessian_task(guess)
    here, trust, forces = Place.of(hessian), _TRUST, [hessian.largest_force]
    follow = None if along is None else along[hessian.free].ravel()
    age = pushes = lost = 0
    while len(forces) <= steps:
        if here.force < fmax or age >= _RENEW:
            if age:
                hessian = yield from hessian_task(here.atoms)
                here, age = Place.of(hessian), 0
                lost += not _has_saddle(hessian, threshold)
                if lost == _LOST:
                    break
            if here.force < fmax:
                push = _superfluous(hessian, threshold)
                if push is None or pushes == _PUSHES:
                    return Climb(hessian, tuple(forces), converged=True)
                pushes += 1
                here = yield from here.moved(_PUSH * push)
                age, follow = 1, None
                forces.append(here.force)
                continue
        step, follow = rfo_step(here, _direction(here, follow), trust)
        there = yield from here.moved(step)
        shorter = _next_trust(here, there, step, trust)
        age += 1
        if _is_lost(here, there, step) and trust > _SHORT:
            # Nowhere to go on from; what was learned there is kept.
            here.matrix = there.matrix
        else:
            here = there
        trust = shorter
        forces.append(here.force)
    if age:
        hessian = yield from hessian_task(here.atoms)
    return Climb(hessian, tuple(forces), hessian.largest_force < fmax)


def rfo_step(
    here: Place, follow: Array | None, trust: float
) -> tuple[Array, Array | None]:
    """Step down along all modes, but up along one that is followed.

    Args:
        here: Place to step from.
        follow: Direction (3n,) whose most similar mode is followed; None for none.
        trust: Largest displacement of an atom, Å.

    Returns:
        Step (3n,), Å, and the mode that was followed.
    """
    basis = here.basis
    values, vectors = np.linalg.eigh(basis.T @ here.matrix @ basis)
    modes = basis @ vectors
    slopes = modes.T @ here.gradient
    steps = np.zeros(len(values))
    image, down = np.ones(len(values)), np.ones(len(values), dtype=bool)
    mode = None
    if follow is not None:
        up = int(np.abs(modes.T @ follow).argmax())
        down[up], mode, image[up] = False, modes[:, up], -1.0
        shift = 0.5 * values[up] + np.hypot(0.5 * values[up], slopes[up])
        steps[up] = -slopes[up] / min(values[up] - shift, -1e-6)
    if down.any():
        augmented = np.diag([*values[down], 0.0])
        augmented[-1, :-1] = augmented[:-1, -1] = slopes[down]
        lowest = np.linalg.eigvalsh(augmented)[0]
        steps[down] = -slopes[down] / np.maximum(values[down] - lowest, 1e-6)
    if _longest(modes @ steps) > trust:
        steps = _restricted(image * values, image * slopes, modes, trust)
    return modes @ steps, mode


def _longest(step: Array) -> float:
    """Largest displacement of an atom, Å."""
    return float(np.linalg.norm(step.reshape(-1, 3), axis=1).max())


def _restricted(values: Array, slopes: Array, modes: Array, trust: float) -> Array:
    """Steps along modes that stay within the trust, (m,).

    By one level shift of all curvatures (trust region image minimisation; Helgaker,
    Chem. Phys. Lett. 182, 503, 1991): stiff modes come to rest at once, soft ones go as
    far as they may. A step that is scaled as a whole would leave the stiff ones where
    they are.

    Args:
        values: Curvatures, (m,), with the other sign of the mode that leads up.
        slopes: Slopes, (m,), with the other sign there too.
        modes: Modes, (3n, m).
        trust: Largest displacement of an atom, Å.
    """
    low = max(0.0, -float(values.min())) + 1e-9
    high = low + float(np.abs(slopes).sum()) / trust + 1.0
    for _ in range(60):
        shift = 0.5 * (low + high)
        longest = _longest(modes @ (-slopes / (values + shift)))
        low, high = (shift, high) if longest > trust else (low, shift)
    steps: Array = -slopes / (values + high)
    return steps


def _direction(here: Place, follow: Array | None) -> Array:
    """Direction to follow: of the modes that lead down both ways the most similar.

    The way of a band past its top, and the mode there, may differ a good deal. Where no
    mode leads down, it is the direction itself.
    """
    basis = here.basis
    values, vectors = np.linalg.eigh(basis.T @ here.matrix @ basis)
    down = max(1, int((values < -_DOWN).sum()))
    modes = basis @ vectors[:, :down]
    if follow is None or np.linalg.norm(basis.T @ follow) < 1e-12:
        return np.asarray(modes[:, 0])
    if values[0] >= -_DOWN:
        return follow
    return np.asarray(modes[:, int(np.abs(modes.T @ follow).argmax())])


def _modes(hessian: Hessian) -> tuple[Array, Array]:
    """Curvatures, (m,), eV/Å^2/amu, and displacements, (3n, m), of the vibrations."""
    root = np.sqrt(hessian.masses)
    basis = inner_basis(hessian.atoms, hessian.free, hessian.masses)
    weighted = hessian.matrix / np.outer(root, root)
    values, vectors = np.linalg.eigh(basis.T @ weighted @ basis)
    return values, (basis @ vectors) / root[:, None]


def _has_saddle(hessian: Hessian, threshold: float) -> bool:
    values, _ = _modes(hessian)
    return len(values) > 0 and bool(values[0] < -threshold)


def _superfluous(hessian: Hessian, threshold: float) -> Array | None:
    """Direction, (3n,), of length 1, of an imaginary mode besides the first."""
    values, modes = _modes(hessian)
    if len(values) < 2 or values[1] > -threshold:
        return None
    unit: Array = modes[:, 1] / np.linalg.norm(modes[:, 1])
    return unit


def _is_lost(here: Place, there: Place, step: Array) -> bool:
    """Whether a step led to where second derivatives said nothing of."""
    expected = float(step @ (here.gradient + 0.5 * here.matrix @ step))
    off = abs(there.energy - here.energy - expected)
    return off > max(abs(expected), _NOISE) and there.force > 2.0 * here.force


def _next_trust(here: Place, there: Place, step: Array, trust: float) -> float:
    """Trust in the next step, by how the energy came out."""
    expected = float(step @ (here.gradient + 0.5 * here.matrix @ step))
    found = there.energy - here.energy
    off = abs(found - expected) / max(abs(expected), _SMALL)
    if off > 0.6:
        return max(_SHORT, 0.5 * trust)
    return min(_LONG, 1.5 * trust) if off < 0.25 else trust
