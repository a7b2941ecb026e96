"""Minimum energy paths of reactions: relaxed ends, interpolation, bands in batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.io.trajectory import TrajectoryReader, TrajectoryWriter
from ase.mep import NEB

from ase_physml.calculators.committee import energy_spread
from ase_physml.calculators.physml import PhysMLCalculator
from ase_physml.errors import StructureError
from ase_physml.tasks.band import BatchedNEB, run_bands
from ase_physml.tasks.ends import align_ends, check_path
from ase_physml.tasks.relax_many import relax_many
from ase_physml.tasks.relaxation import OPTIMIZERS, check_settings
from ase_physml.tasks.uncertainty import Doubt, doubt_about, most_doubtful

# A band climbs once it is this many times fmax from its end.
_CLIMB = 5.0
_SAVE_EVERY = 20


@dataclass(frozen=True)
class ReactionPath:
    """A band at the end of its optimisation.

    Attributes:
        images: Structures along the path, with energies and forces.
        energies: Of the images, eV.
        forces: Largest force on the band at the start and every step, eV/Å.
        converged: The last of them is below the threshold.
        seconds: Wall time since the search began, of all bands together.
        barrier_std: Calibrated standard deviation of the barrier, eV, of a committee.
        doubt: Its most doubtful image.
    """

    images: list[Atoms]
    energies: npt.NDArray[np.float64]
    forces: list[float]
    converged: bool
    seconds: float
    barrier_std: float | None = None
    doubt: Doubt | None = None

    @property
    def barrier(self) -> float:
        """Highest image above the first, eV."""
        return float(self.energies.max() - self.energies[0])

    @property
    def reaction_energy(self) -> float:
        """Last image above the first, eV."""
        return float(self.energies[-1] - self.energies[0])

    @property
    def saddle(self) -> int:
        """The highest image."""
        return int(self.energies.argmax())


@dataclass(frozen=True)
class Search:
    """Settings of `find_paths`.

    Attributes:
        images: Of a path, ends included.
        fmax: Threshold of the largest force on a band, eV/Å.
        steps: Steps of a band at most.
        climb: Let the highest image climb, once the band is near.
        optimizer: "BFGS", "LBFGS" or "FIRE", of ASE.
        relax_ends: Relax reactant and product first, to ``end_fmax``.
        end_fmax: eV/Å.
        match: Reorder the product's atoms; see `align_ends`.
        any_domain: Search with a potential that has seen minima only.
    """

    images: int = 9
    fmax: float = 0.05
    steps: int = 500
    climb: bool = True
    optimizer: str = "FIRE"
    relax_ends: bool = True
    end_fmax: float = 0.01
    match: bool = False
    any_domain: bool = False


Outcome = ReactionPath | Exception
Progress = Callable[[int, int, float], None]


def find_paths(
    ends: Sequence[tuple[Atoms, Atoms]],
    calculator: PhysMLCalculator,
    search: Search | None = None,
    on_step: Progress | None = None,
    states: Sequence[Path] | None = None,
    resume: bool = False,
) -> list[Outcome]:
    """Search the paths of many reactions, all images of all of them in one batch.

    Args:
        ends: Reactant and product of each reaction; they stay as they are.
        calculator: Of PhysML.
        search: Settings.
        on_step: Called with the index of a reaction, the step and its largest force.
        states: A trajectory for each, where its images are kept every 20 steps.
        resume: Start from those.

    Returns:
        For each reaction its path, or the exception that says why there is none.

    Raises:
        StructureError: A setting out of range, or a potential that has seen no barrier.
    """
    search = search or Search()
    check_search(search, calculator)
    began = perf_counter()
    bands: dict[int, BatchedNEB] = {}
    outcomes: dict[int, Outcome] = {}
    relaxed = _relaxed_ends(ends, calculator, search)
    for index, pair in enumerate(relaxed):
        earlier = _images(states[index]) if states is not None and resume else []
        try:
            images = earlier or _interpolated(pair, search)
            bands[index] = BatchedNEB(
                images, calculator, remove_rotation_and_translation=True
            )
        except Exception as error:
            outcomes[index] = error
    where = list(bands)
    history: dict[int, list[float]] = {index: [] for index in where}

    def step_taken(position: int, step: int, force: float) -> None:
        index = where[position]
        history[index].append(force)
        if states is not None and step % _SAVE_EVERY == 0:
            write_images(bands[index].images, states[index])
        if on_step is not None:
            on_step(index, step, force)

    ended = run_bands(
        [bands[index] for index in where],
        OPTIMIZERS[search.optimizer],
        search.fmax,
        search.steps,
        step_taken,
        _CLIMB * search.fmax if search.climb else 0.0,
    )
    seconds = perf_counter() - began
    for index, end in zip(where, ended, strict=True):
        if isinstance(end, Exception):
            outcomes[index] = end
        else:
            outcomes[index] = _path(bands[index], history[index], end, seconds)
    return [outcomes[index] for index in range(len(ends))]


def check_search(search: Search, calculator: PhysMLCalculator) -> None:
    """Refuse, before any work, what `find_paths` would.

    Raises:
        StructureError: A setting out of range, or a potential that has seen no barrier.
    """
    check_settings(search.optimizer, search.fmax, search.steps)
    if search.images < 3:
        raise StructureError(f"a path needs 3 images or more, got {search.images}")
    card = calculator.card
    if card is not None and card.domain == "equilibrium" and not search.any_domain:
        raise StructureError(
            f"{calculator.potential} was trained on equilibrium structures only and "
            "has never seen a barrier; use a potential for reactions, or ask for it "
            "all the same (any_domain, --any-domain)"
        )


def _relaxed_ends(
    ends: Sequence[tuple[Atoms, Atoms]], calculator: PhysMLCalculator, search: Search
) -> list[tuple[Atoms, Atoms] | Exception]:
    if not search.relax_ends:
        return list(ends)
    flat = [end for pair in ends for end in pair]
    found = relax_many(flat, calculator, fmax=search.end_fmax)
    pairs: list[tuple[Atoms, Atoms] | Exception] = []
    for first, last in zip(found[::2], found[1::2], strict=True):
        if isinstance(first, Exception):
            pairs.append(first)
        elif isinstance(last, Exception):
            pairs.append(last)
        else:
            pairs.append((first.atoms, last.atoms))
    return pairs


def _interpolated(pair: tuple[Atoms, Atoms] | Exception, search: Search) -> list[Atoms]:
    """IDPP between aligned ends (Smidstrup et al. 2014)."""
    if isinstance(pair, Exception):
        raise pair
    reactant, product = pair[0].copy(), align_ends(*pair, match=search.match)
    middle = [reactant.copy() for _ in range(search.images - 2)]
    images = [reactant, *middle, product]
    NEB(images, method="improvedtangent").interpolate("idpp")
    check_path(images)
    return images


def _path(
    band: BatchedNEB, forces: list[float], converged: bool, seconds: float
) -> ReactionPath:
    images = list(band.images)
    energies = np.array([image.get_potential_energy() for image in images])
    return ReactionPath(
        images,
        energies,
        forces,
        converged,
        seconds,
        _spread_of_barrier(images[0], images[int(energies.argmax())]),
        most_doubtful(map(doubt_about, images)),
    )


def _spread_of_barrier(first: Atoms, saddle: Atoms) -> float | None:
    # Of the differences, member by member: much of what they err cancels.
    if "energy_members" not in first.calc.results:
        return None
    members = [image.calc.results["energy_members"] for image in (first, saddle)]
    return energy_spread(members[1] - members[0], first.calc.calibration)


def write_images(images: Sequence[Atoms], path: Path) -> None:
    """An ASE trajectory of a path, in place once it is complete."""
    partial = path.with_name(path.name + ".part")
    with TrajectoryWriter(partial, "w") as out:
        for image in images:
            out.write(image)
    partial.replace(path)


def _images(path: Path) -> list[Atoms]:
    if not path.is_file():
        return []
    with TrajectoryReader(path) as frames:
        return list(frames)
