"""Bands of many reactions under way, and the paths that they make."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_physml.jobs.identity import Identity
from ase_physml.workflows.alignment import placement_of
from ase_physml.workflows.image_files import write_images
from ase_physml.workflows.paths.band import BatchedNEB, run_bands
from ase_physml.workflows.paths.interpolation import interpolate
from ase_physml.workflows.paths.reaction_path import (
    ReactionPath,
    one_structure,
    path_of,
)
from ase_physml.workflows.paths.refinement import refined, window_of
from ase_physml.workflows.relax import OPTIMIZERS

# A band climbs once it is this many times fmax from its end.
_CLIMB = 5.0
_SAVE_EVERY = 20
# Images that a part of a band gets at least beside those it has.
_MORE = 3
# Share of a barrier by which both images beside the highest of a sharp top are lower.
_SHARP = 0.4

PathOutcome = ReactionPath | Exception
"""A reaction path, or why there is none."""

OnBandStep = Callable[[int, int, float], None]
"""Called with the index of a reaction, the step and its largest force in eV/Å."""


class BandSearch:
    """Bands of many reactions, whose images are one batch.

    Args:
        calculator: Calculator of them all.
        optimizer: Name of ASE's optimizer.
        fmax: Threshold of the largest force on a band, eV/Å.
        climb: Whether highest images climb, once their bands are near.
        on_step: See `OnBandStep`.
        states: Trajectory for each, where its images are kept every 20 steps.
        made_of: Identity of each, kept with them.
    """

    def __init__(
        self,
        calculator: Calculator,
        optimizer: str,
        fmax: float,
        climb: bool,
        on_step: OnBandStep | None = None,
        states: Sequence[Path] | None = None,
        made_of: Sequence[Identity] | None = None,
    ) -> None:
        self.calculator, self.optimizer = calculator, optimizer
        self.fmax, self.climb = fmax, climb
        self._on_step, self._states, self._made_of = on_step, states, made_of
        self._began = perf_counter()
        self._bands: dict[int, BatchedNEB] = {}
        # Optimizer of each band, so that one that goes on does as if never stopped.
        self._drivers: dict[int, tuple[BatchedNEB, Any]] = {}
        self._remarks: dict[int, tuple[str, ...]] = {}
        self._history: dict[int, list[float]] = {}
        # Images that stay where they are before and after a band that was zoomed in to.
        self._beside: dict[int, tuple[list[Atoms], list[Atoms]]] = {}

    @property
    def indices(self) -> list[int]:
        """Numbers of the reactions that have bands."""
        return list(self._bands)

    def add(self, index: int, images: list[Atoms], remarks: tuple[str, ...]) -> None:
        """Begin with a band, and remarks to its path."""
        self._bands[index] = self._band(images)
        self._remarks[index], self._history[index] = remarks, []
        self._beside[index] = [], []

    def images(self, index: int) -> list[Atoms]:
        """All images of a reaction."""
        before, after = self._beside[index]
        return [*before, *self._bands[index].images, *after]

    def run(self, indices: Collection[int], steps: int) -> dict[int, PathOutcome]:
        """Optimise bands, and judge their paths.

        Args:
            indices: Numbers of the reactions.
            steps: Largest number of steps.
        """
        ended = self._run({k: self._bands[k] for k in indices}, steps)
        seconds = perf_counter() - self._began
        return {
            index: failed
            or path_of(
                self.images(index),
                self._history[index],
                self.fmax,
                seconds,
                self._remarks[index],
            )
            for index, failed in ended.items()
        }

    def resolve(self, index: int, count: int, wide: bool = False) -> bool:
        """Go on with the part of a band where bonds change, if few images are there.

        The images beside it stay where they are.

        Args:
            index: Number of the reaction.
            count: Number of images of the new band, its ends included.
            wide: Whether the part may be all of the band, which then gets more images.

        Returns:
            Whether there is a new band.
        """
        whole = self.images(index)
        window = window_of(whole, 1.0 if wide else 0.7)
        if window is None:
            return False
        first, last = window
        count = max(count, last - first + 1 + _MORE)
        try:
            images = refined(whole[first : last + 1], count)
        except Exception:
            # Two images may lie on each other; the band goes on as it is.
            return False
        self._bands[index] = self._band(images)
        self._beside[index] = whole[:first], whole[last + 1 :]
        return True

    def zoom(self, index: int, count: int) -> None:
        """Go on with the surroundings of the top alone, by as many images.

        Where the top is sharp, or the band near its end: more steps of the same images
        would say no more. Those beside the top stay where they are. Other bands, and
        those whose highest image is an end, stay as they are.

        Args:
            index: Number of the reaction.
            count: Number of images of the new band, its ends included.
        """
        whole = self.images(index)
        energies = [image.get_potential_energy() for image in whole]
        k = max(range(len(whole)), key=energies.__getitem__)
        if not 0 < k < len(whole) - 1:
            return
        near = self._history[index][-1] < _CLIMB * self.fmax
        if not (near or _is_sharp(energies, k)):
            return
        half = max(2, count // 2)
        first = [*(whole[k - 1].copy() for _ in range(half)), whole[k].copy()]
        last = [*(whole[k].copy() for _ in range(half)), whole[k + 1].copy()]
        try:
            for part in (first, last):
                interpolate(part, "idpp", apply_constraint=True)
        except Exception:
            # Images of one kink may lie on each other; the band goes on as it is.
            return
        self._bands[index] = self._band([*first, *last[1:]])
        self._beside[index] = whole[: k - 1], whole[k + 2 :]

    def _band(self, images: list[Atoms]) -> BatchedNEB:
        # Of a cell, and of what is held, no image may be turned on the way either.
        turned = placement_of(images[0]).aligned
        return BatchedNEB(
            images, self.calculator, remove_rotation_and_translation=turned
        )

    def _run(
        self, bands: dict[int, BatchedNEB], steps: int
    ) -> dict[int, Exception | None]:
        """Optimise bands; where both ends are one structure, only evaluate.

        Returns:
            For each band the exception that ended it, or None.
        """
        ended: dict[int, Exception | None] = {}
        apart: list[int] = []
        same: list[int] = []
        for index, band in bands.items():
            try:
                (same if _is_one(band) else apart).append(index)
            except Exception as error:
                ended[index] = error
        for some, most in ((apart, steps), (same, 0)):
            found = run_bands(
                [bands[index] for index in some],
                [self._driver(index, bands[index]) for index in some],
                self.fmax,
                most,
                self._renumbered(some),
                _CLIMB * self.fmax if self.climb else 0.0,
            )
            for index, outcome in zip(some, found, strict=True):
                ended[index] = outcome if isinstance(outcome, Exception) else None
        return ended

    def _driver(self, index: int, band: BatchedNEB) -> Any:
        known, driver = self._drivers.get(index, (None, None))
        if known is not band:
            driver = OPTIMIZERS[self.optimizer](band, logfile=None)
            self._drivers[index] = band, driver
        return driver

    def _renumbered(self, some: Sequence[int]) -> OnBandStep:
        return lambda position, step, force: self._step(some[position], step, force)

    def _step(self, index: int, step: int, force: float) -> None:
        history = self._history[index]
        if history and step == 0:  # gone on with: known already
            return
        history.append(force)
        step = len(history) - 1
        if self._states is not None and step % _SAVE_EVERY == 0:
            made = None if self._made_of is None else self._made_of[index]
            write_images(self.images(index), self._states[index], made)
        if self._on_step is not None:
            self._on_step(index, step, force)


def _is_sharp(energies: Sequence[float], k: int) -> bool:
    """Whether both neighbours of an image are a good part of the way down."""
    drop = energies[k] - max(energies[k - 1], energies[k + 1])
    return drop > _SHARP * (energies[k] - max(energies[0], energies[-1]))


def _is_one(band: BatchedNEB) -> bool:
    ends = band.images[0], band.images[-1]
    # Energies only where they matter: those of all bands are one batch, later.
    return bool(
        one_structure(*ends, 0.0) and one_structure(*ends, band.reaction_energy)
    )
