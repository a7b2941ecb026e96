"""Minimum energy paths of reactions: relaxed ends, interpolation, bands in batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.io.trajectory import TrajectoryReader, TrajectoryWriter
from ase.io.ulm import InvalidULMFileError as UlmError
from ase.mep import NEB

from ase_physml.calculators.committee import energy_spread
from ase_physml.calculators.identity import identity_of
from ase_physml.calculators.physml import PhysMLCalculator
from ase_physml.errors import StructureError
from ase_physml.jobs.disk import writing
from ase_physml.jobs.identity import Identity
from ase_physml.tasks.band import BatchedNEB, run_bands
from ase_physml.tasks.ends import align_ends, check_path
from ase_physml.tasks.relax_many import relax_many
from ase_physml.tasks.relaxation import AFRESH, OPTIMIZERS, check_settings
from ase_physml.tasks.uncertainty import Doubt, doubt_about, most_doubtful

# A band climbs once it is this many times fmax from its end.
_CLIMB = 5.0
_SAVE_EVERY = 20
_FORMAT = 1


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
    made_of: Sequence[Identity] | None = None,
) -> list[Outcome]:
    """Search the paths of many reactions, all images of all of them in one batch.

    Args:
        ends: Reactant and product of each reaction; they stay as they are.
        calculator: Of PhysML.
        search: Settings.
        on_step: Called with the index of a reaction, the step and its largest force.
        states: A trajectory for each, where its images are kept every 20 steps.
        resume: Start from those.
        made_of: What the images of each are of, see `path_identities`; kept with them,
            and compared before they are used again.

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
        made = None if made_of is None else made_of[index]
        try:
            earlier = (
                read_images(states[index], made)
                if states is not None and resume
                else []
            )
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
            made = None if made_of is None else made_of[index]
            write_images(bands[index].images, states[index], made)
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


def path_identities(
    ends: Sequence[tuple[Atoms, Atoms]], calculator: PhysMLCalculator, search: Search
) -> list[Identity]:
    """What tells the search of each path from another."""
    potential = identity_of(calculator)
    return [
        Identity.of(
            "neb",
            _FORMAT,
            reactant=reactant,
            product=product,
            potential=potential,
            search=search,
        )
        for reactant, product in ends
    ]


def write_images(
    images: Sequence[Atoms], path: Path, made_of: Identity | None = None
) -> None:
    """An ASE trajectory of a path, in place once it is complete.

    Raises:
        WriteError: It cannot be written.
    """
    partial = path.with_name(path.name + ".part")
    with writing(path, "go on with --resume"), TrajectoryWriter(partial, "w") as out:
        if made_of is not None:
            out.set_description({"made_of": dict(made_of.values)})
        for image in images:
            out.write(image)
    partial.replace(path)


def read_images(path: Path, made_of: Identity | None = None) -> list[Atoms]:
    """Images that `write_images` wrote; none where there is no file, or a broken one.

    Raises:
        DataError: They are of other work than ``made_of``.
    """
    try:
        with TrajectoryReader(path) as frames:
            stored, found = frames.description or {}, list(frames)
    except (OSError, ValueError, UlmError):
        return []
    if made_of is not None:
        made_of.check(stored.get("made_of"), path, AFRESH)
    return found
