"""Nudged elastic bands whose images are evaluated together."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.mep import NEB
from ase.optimize import FIRE

from ase_physml.calculators.batch_evaluator import BatchEvaluator
from ase_physml.calculators.many import NEEDED
from ase_physml.calculators.names import CalculatorLike
from ase_physml.errors import StructureError
from ase_physml.workflows.alignment import turn_onto
from ase_physml.workflows.constraints import holds_in_space, names_of
from ase_physml.workflows.paths.interpolation import interpolate
from ase_physml.workflows.relax import check_is_atoms


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


def run_bands(
    bands: Sequence[BatchedNEB],
    optimizer: Callable[..., Any] | Sequence[Any] = FIRE,
    fmax: float = 0.05,
    steps: int = 500,
    on_step: Callable[[int, int, float], None] | None = None,
    climb_below: float = 0.0,
) -> list[bool | Exception]:
    """Optimise many bands, their images in one batch; each band by its own optimizer.

    Args:
        bands: Bands of the same calculator.
        optimizer: Optimizer of ASE that looks at the forces once a step; or one for
            each band, to go on with.
        fmax: Threshold of the largest force on a band, eV/Å.
        steps: Largest number of steps of each band.
        on_step: Called with the index of a band, the step and its largest force, eV/Å.
        climb_below: Largest force below which a band starts to climb, eV/Å.

    Returns:
        For each band whether it has converged, or the exception that ended it; the
        others go on.
    """
    drivers = (
        [optimizer(band, logfile=None) for band in bands]
        if callable(optimizer)
        else optimizer
    )
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
