"""Nudged elastic bands whose images are evaluated together."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.mep import NEB
from ase.mep.neb import idpp_interpolate
from ase.optimize import FIRE

from ase_physml.calculators.batch_evaluator import BatchEvaluator
from ase_physml.calculators.many import NEEDED
from ase_physml.calculators.names import CalculatorLike
from ase_physml.errors import StructureError
from ase_physml.workflows.alignment import (
    distances,
    n_rotations,
    superpose,
    turn_onto,
)
from ase_physml.workflows.constraints import holds_in_space, names_of
from ase_physml.workflows.relax import check_is_atoms

# Å; no bond is shorter than 0.74 Å, and a path may squeeze one.
_COLLISION = 0.4
# Å; two atoms that trade places meet in the middle.
_MEETING = 0.05
# Å; on a line, what moves further passes another atom, and how far around it.
_PASSING, _AROUND = 1.5, 1.2
# Å; atoms of two elements that come nearer on the straight path trade places.
_PASSED = 0.3


class BatchedNEB(NEB):
    """``ase.mep.NEB`` with one batch for all images.

    Works with every optimizer of ASE, and with every option of its NEB: the methods,
    ``climb``, ``remove_rotation_and_translation``, ``interpolate("idpp")``. Calculators
    other than PhysML's compute image by image, unless they have ``calculate_many``.

    Args:
        images: Structures along the path; the ends stay where they are.
        calculator: Calculator of all images, or its name; by default that of the first
            image.
        k: Spring constants, eV/Å^2.
        climb: Whether the highest image climbs.
        method: "improvedtangent", "string", "spline", "eb" or "aseneb".
        batch_size: Number of images at a time; fewer if memory runs out.
        **options: Further arguments of ``ase.mep.NEB``.

    Raises:
        StructureError: No calculator, an image that it cannot treat, or images that
            shall be turned though constraints hold them in space.
        PotentialError: What cannot be used as a calculator; see `as_calculator`.
        ValueError: Images that are not of one composition (from ASE).
    """

    def __init__(
        self,
        images: Sequence[Atoms],
        calculator: CalculatorLike | None = None,
        k: float | Sequence[float] = 0.1,
        climb: bool = False,
        method: str = "improvedtangent",
        batch_size: int = 256,
        **options: Any,
    ) -> None:
        for index, image in enumerate(images):
            check_is_atoms(image, f"image {index}")
        super().__init__(images, k=k, climb=climb, method=method, **options)
        if self.remove_rotation_and_translation:
            _check_free(images)
        calculator = calculator or images[0].calc
        if calculator is None:
            raise StructureError(
                "BatchedNEB needs a calculator, of the first image or as its argument"
            )
        self.evaluator = BatchEvaluator(calculator, batch_size)
        for image in images:
            self.evaluator.attach(image)
        self._aligned_at: npt.NDArray[np.float64] | None = None

    def interpolate(
        self,
        method: str = "linear",
        mic: bool | None = None,
        apply_constraint: bool | None = None,
    ) -> None:
        """Lay the images between the ends, as ASE's NEB does.

        Args:
            method: "linear", "idpp" or "geodesic".
            mic: Whether by differences to the nearest periodic image; None: of what is
                periodic.
            apply_constraint: Whether to put images where the constraints allow; None:
                refuse ends between which these matter.

        Raises:
            StructureError: Atoms that run into each other, named.
        """
        if self.remove_rotation_and_translation:
            turn_onto(self.images[0], self.images[-1])
        interpolate(self.images, method, mic, apply_constraint)

    def waiting(self) -> list[Atoms]:
        """Images that have moved since they were evaluated, aligned if that is asked.

        Someone who runs several bands evaluates those of all of them at once.
        """
        self._align()
        return [
            image
            for image in self.images
            if self.evaluator.serves(image)
            and image.calc.calculation_required(image, NEEDED)
        ]

    def get_forces(self) -> npt.NDArray[np.float64]:
        """Forces on the images between the ends, ((n - 2) N, 3), eV/Å, as ASE's NEB."""
        self.evaluator(self.waiting())
        # Turning images that are aligned moves them by a rounding error, and what was
        # computed for them would count no more.
        turn = self.remove_rotation_and_translation
        self.remove_rotation_and_translation = False
        try:
            forces: npt.NDArray[np.float64] = super().get_forces()
        finally:
            self.remove_rotation_and_translation = turn
        return forces

    def largest_force(self) -> float:
        """Largest force on an atom of an image between the ends, eV/Å."""
        return float(np.linalg.norm(self.get_forces(), axis=1).max())

    def _align(self) -> None:
        if not self.remove_rotation_and_translation:
            return
        where = np.concatenate([image.positions for image in self.images])
        if self._aligned_at is not None and np.array_equal(where, self._aligned_at):
            return
        for before, image in zip(self.images, self.images[1:], strict=False):
            turn_onto(before, image)
        self._aligned_at = np.concatenate([image.positions for image in self.images])

    @property
    def barrier(self) -> float:
        """Highest energy of an image above the first, eV."""
        return float(max(self._energies()) - self._energies()[0])

    @property
    def reaction_energy(self) -> float:
        """Energy of the last image above the first, eV."""
        energies = self._energies()
        return float(energies[-1] - energies[0])

    def _energies(self) -> list[float]:
        self.evaluator(self.waiting())
        return [image.get_potential_energy() for image in self.images]


def interpolate(
    images: list[Atoms],
    method: str = "idpp",
    mic: bool | None = None,
    apply_constraint: bool | None = None,
) -> None:
    """Lay images between the first and the last; see `BatchedNEB.interpolate`.

    Raises:
        StructureError: Atoms that run into each other, named.
    """
    if mic is None:
        mic = bool(images[0].pbc.any())
    band = NEB(images, method="improvedtangent")
    band.interpolate("linear", mic, apply_constraint)
    _leave_the_line(images)
    _turn_past(images)
    check_meeting(images)
    if method == "geodesic":
        geodesic_interpolate(images)
        check_path(images)
    if method == "idpp":
        idpp_interpolate(band, traj=None, log=None, mic=mic)
        check_path(images)


def _leave_the_line(images: list[Atoms]) -> None:
    """Lead the atom that moves furthest around the others, where all lie on a line.

    On a line atoms can only run through each other, and no force leads off it.
    """
    first, last = images[0], images[-1]
    free = not first.pbc.any() and not first.constraints
    if not free or len(first) < 3 or not (n_rotations(first) == n_rotations(last) == 2):
        return
    moves = np.linalg.norm(last.positions - first.positions, axis=1)
    moves[first.get_masses() > first.get_masses().min()] *= 0.5
    mover = int(moves.argmax())
    if moves[mover] < _PASSING:
        return
    _, axes = first.get_moments_of_inertia(vectors=True)
    for image, share in zip(images, np.linspace(0.0, np.pi, len(images)), strict=True):
        image.positions[mover] += _AROUND * np.sin(share) * axes[-1]


def _turn_past(images: list[Atoms]) -> None:
    """Lead atoms of two elements that trade places around each other: NC to CN.

    No mistake in the order of the atoms looks like this, as one of equal atoms would.
    """
    first = images[0]
    if first.pbc.any() or first.constraints:
        return
    shares = np.sin(np.linspace(0.0, np.pi, len(images)))
    for _ in range(len(first) // 2):
        middle = min(images[1:-1], key=lambda image: _closest(image)[2])
        i, j, distance = _closest(middle)
        if distance > _PASSED or first.numbers[i] == first.numbers[j]:
            return
        axis = first.positions[j] - first.positions[i]
        others = first.positions - 0.5 * (first.positions[i] + first.positions[j])
        beside = np.cross(
            axis, others[np.linalg.norm(np.cross(axis, others), axis=1).argmax()]
        )
        if np.linalg.norm(beside) < 1e-3:
            beside = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
        beside *= 0.5 * _AROUND / np.linalg.norm(beside)
        for image, share in zip(images, shares, strict=True):
            image.positions[i] += share * beside
            image.positions[j] -= share * beside


def geodesic_interpolate(images: list[Atoms]) -> None:
    """Lay images on the geodesic between the ends in redundant internal coordinates.

    By the library of its authors (Zhu, Thompson and Martínez, J. Chem. Phys. 150,
    164103, 2019).

    Raises:
        StructureError: It is not installed, or the images are held or in a cell.
    """
    try:
        from geodesic_interpolate.geodesic import Geodesic
        from geodesic_interpolate.interpolation import redistribute
    except ImportError as error:
        raise StructureError(
            "geodesic starts need the extra: pip install 'ase-physml[geodesic]'"
        ) from error
    first, last = images[0], images[-1]
    if first.pbc.any() or first.constraints:
        raise StructureError(
            "geodesic starts are of free molecules; use idpp for what is held or in a "
            "cell"
        )
    symbols = list(first.symbols)
    # The library nudges its geometries at random, by numpy's global numbers.
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        raw = redistribute(
            symbols, [first.positions, last.positions], len(images), tol=1e-2
        )
        smoother = Geodesic(symbols, raw, 1.7, threshold=3, friction=1e-2)
        smoother.smooth(tol=2e-3, max_iter=15)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    middle = range(1, len(images) - 1)
    for index in middle:
        images[index].positions = smoother.path[index]
    last.positions = superpose(last.positions, smoother.path[-1])


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
    apart = distances(image, image) + 1e3 * np.eye(len(image))
    i, j = np.unravel_index(apart.argmin(), apart.shape)
    return int(i), int(j), float(apart[i, j])


def run_bands(
    bands: Sequence[BatchedNEB],
    optimizer: Callable[..., Any] = FIRE,
    fmax: float = 0.05,
    steps: int = 500,
    on_step: Callable[[int, int, float], None] | None = None,
    climb_below: float = 0.0,
) -> list[bool | Exception]:
    """Optimise many bands, their images in one batch; each band by its own optimizer.

    Args:
        bands: Bands of the same calculator.
        optimizer: Optimizer of ASE that looks at the forces once a step.
        fmax: Threshold of the largest force on a band, eV/Å.
        steps: Largest number of steps of each band.
        on_step: Called with the index of a band, the step and its largest force, eV/Å.
        climb_below: Largest force below which a band starts to climb, eV/Å.

    Returns:
        For each band whether it has converged, or the exception that ended it; the
        others go on.
    """
    drivers = [optimizer(band, logfile=None) for band in bands]
    converged: list[bool | Exception] = [False] * len(bands)
    running = list(range(len(bands)))
    for step in range(steps + 1):
        for index, error in _evaluate(bands, running).items():
            converged[index] = error
            running.remove(index)
        if not running:
            break
        for index in list(running):
            try:
                force = _force(bands[index], climb_below)
            except Exception as error:
                converged[index] = error
                running.remove(index)
                continue
            converged[index] = force < fmax
            if on_step is not None:
                on_step(index, step, force)
            if converged[index] or step == steps:
                running.remove(index)
                continue
            try:
                drivers[index].step()
            except Exception as error:
                converged[index] = error
                running.remove(index)
            else:
                drivers[index].nsteps += 1
    return converged


def _force(band: BatchedNEB, climb_below: float) -> float:
    """Largest force on a band, eV/Å, which starts to climb when it is low enough.

    Raises:
        StructureError: It is not finite.
    """
    force = band.largest_force()
    if force < climb_below and not band.climb:
        band.climb = True
        force = band.largest_force()
    if not np.isfinite(force):
        raise StructureError(
            f"the largest force on the band is {force} eV/Å; check both ends for atoms "
            "that are too close"
        )
    return force


def _check_free(images: Sequence[Atoms]) -> None:
    """Refuse to turn what constraints hold: only the free atoms would move."""
    for index, image in enumerate(images):
        if any(holds_in_space(one) for one in image.constraints):
            raise StructureError(
                f"remove_rotation_and_translation: image {index} is held by "
                f"{names_of(image)} and must not be turned; leave the option out"
            )


def _evaluate(
    bands: Sequence[BatchedNEB], running: Sequence[int]
) -> dict[int, Exception]:
    """Compute forces of all images in one batch; the bands that cannot have any."""
    if not running:
        return {}
    try:
        bands[running[0]].evaluator(
            [image for index in running for image in bands[index].waiting()]
        )
    except Exception:
        # One image is to blame: its band alone shall leave.
        failed = {}
        for index in running:
            try:
                bands[index].get_forces()
            except Exception as error:
                failed[index] = error
        return failed
    return {}
