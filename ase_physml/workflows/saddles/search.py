"""Saddles of many reactions at once, each with a certificate.

From the top of a band, or a guess: eigenvector following to the saddle, its vibrations,
and the steepest descents from it, all structures of a step of all reactions in one
batch. What each saddle is worth is judged in `certificate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from ase_physml.calculators.batch_evaluator import BatchEvaluator
from ase_physml.calculators.many import Results
from ase_physml.calculators.names import CalculatorLike
from ase_physml.calculators.spread import Calibration, energy_spread
from ase_physml.data.frame import Array
from ase_physml.workflows.alignment import placement_of
from ase_physml.workflows.relax import check_is_atoms
from ase_physml.workflows.saddles.certificate import Certificate, certify
from ase_physml.workflows.saddles.descent import Descent, descent_task
from ase_physml.workflows.saddles.eigenvector_following import Climb, climb
from ase_physml.workflows.together import (
    Counted,
    Task,
    evaluated,
    run_together,
    side_by_side,
)
from ase_physml.workflows.vibrations.hessian import advise, hessian_task
from ase_physml.workflows.vibrations.normal_modes import (
    Vibrations,
    curvature,
    vibrations_of,
)

HELD = 15.0
"""Frequency, cm-1, that the mode of a saddle must have on a surface or in a cell."""


@dataclass(frozen=True)
class SaddleSettings:
    """Settings of `find_saddles`.

    Attributes:
        fmax: Threshold of the largest force on a saddle, eV/Å.
        steps: Largest number of steps to it.
        end_fmax: The same threshold of the minima on both sides.
        end_steps: Largest number of steps to each of them.
        imaginary: Frequency that the mode of a saddle must have, and no other one,
            cm-1: of molecules. Of what is held or lies in a cell, which has no
            rotations to mistake for modes and often heavy atoms, `HELD` counts.
        zero_point: Whether to compute zero-point energies of saddle and ends.
    """

    fmax: float = 0.01
    steps: int = 120
    end_fmax: float = 0.02
    end_steps: int = 200
    imaginary: float = 50.0
    zero_point: bool = False


@dataclass(frozen=True)
class Guess:
    """A structure to search a saddle from, and what is known of its reaction.

    Attributes:
        atoms: Structure near the saddle.
        along: Direction of the path there, (N, 3); None if nobody knows.
        ends: Reactant and product in the order of its atoms, minima of the same
            calculator; None where whatever the saddle joins shall be found.
    """

    atoms: Atoms
    along: Array | None = None
    ends: tuple[Atoms, Atoms] | None = None


@dataclass(frozen=True)
class Saddle:
    """A saddle, or where the search for one has ended.

    Attributes:
        vibrations: Vibrations there; structure, energy and forces are theirs.
        forces: Largest force at the start and every step of the search, eV/Å.
        certificate: What it is worth.
        path: Structures downhill from one minimum over the saddle to the other, the
            reactant's side first; none if it has no way down.
        energies: Energies of the path, eV.
        barriers: Energy above the reactant and above the product, eV; of a guess
            without ends above the minima it joins. None if it joins others.
        barrier_std: Calibrated standard deviation of the first, eV; of a committee.
        zero_point: What zero-point energies add to both barriers, eV; None if that was
            not asked for.
        evaluations: Number of energies and forces that were computed for it.
    """

    vibrations: Vibrations
    forces: tuple[float, ...]
    certificate: Certificate
    path: list[Atoms]
    energies: Array
    barriers: tuple[float, float] | None
    barrier_std: float | None = None
    zero_point: tuple[float, float] | None = None
    evaluations: int = 0

    @property
    def atoms(self) -> Atoms:
        """Structure of the saddle, with energy and forces."""
        return self.vibrations.atoms

    @property
    def energy(self) -> float:
        """Energy of the saddle, eV."""
        return self.vibrations.hessian.energy


def find_saddles(
    guesses: Sequence[Guess | Atoms] | Guess | Atoms,
    calculator: CalculatorLike,
    settings: SaddleSettings | None = None,
    *,
    batch_size: int = 256,
) -> list[Saddle | Exception]:
    """Find saddles near guesses and certify them, all of them in batches.

    Args:
        guesses: Structures near saddles, with or without the ends of their reactions.
        calculator: Calculator or its name, see `as_calculator`.
        settings: Settings of the search.
        batch_size: Structures at a time; fewer if memory runs out.

    Returns:
        For each guess the saddle, whose ``certificate`` says what it is worth, or the
        exception that ended the search.

    Raises:
        PotentialError: No calculator, or one without forces.
    """
    settings = settings or SaddleSettings()
    if isinstance(guesses, Guess | Atoms):
        guesses = [guesses]
    evaluate = BatchEvaluator(calculator, batch_size)
    if settings.zero_point:
        advise(evaluate)
    given = [one if isinstance(one, Guess) else Guess(one) for one in guesses]
    calibration = getattr(evaluate.calculator, "calibration", Calibration())
    searches = [_search(one, settings, calibration) for one in given]
    return run_together(searches, evaluate)


def _search(
    guess: Guess, settings: SaddleSettings, calibration: Calibration
) -> Task[Saddle]:
    """Task of one saddle: up, down on both sides, and what came of it."""
    check_is_atoms(guess.atoms, "the guess of a saddle")
    counted = Counted()
    molecule = placement_of(guess.atoms).aligned
    imaginary = settings.imaginary if molecule else min(settings.imaginary, HELD)
    threshold = curvature(imaginary)
    task = climb(guess.atoms, guess.along, settings.fmax, settings.steps, threshold)
    top = yield from counted(task)
    vibrations = vibrations_of(top.hessian)
    sides: list[Descent] = []
    if _is_saddle(top, vibrations, imaginary):
        ways = [sign * vibrations.modes[0] for sign in (1.0, -1.0)]
        tasks = [
            descent_task(top.hessian, way, settings.end_fmax, settings.end_steps)
            for way in ways
        ]
        sides = yield from counted(side_by_side(tasks))
    found = certify(top, vibrations, sides, guess.ends, imaginary)
    if found.swapped:
        sides.reverse()
    barriers, spread, zero_point = None, None, None
    if found.joins:
        ends = guess.ends or (sides[0].minimum, sides[1].minimum)
        # By this calculator: what a file says of them may be another's.
        bare = [end.copy() for end in ends]
        levels = yield from counted(evaluated(bare))
        here = vibrations.hessian.results
        first, last = (float(here["energy"] - one["energy"]) for one in levels)
        barriers = first, last
        spread = _spread(levels[0], here, calibration)
        if settings.zero_point:
            own = vibrations.zero_point_energy
            zero_point = yield from counted(_zero_point(bare, own))
    path, energies = _path(sides)
    return Saddle(
        vibrations, top.forces, found, path, energies, barriers, spread, zero_point,
        counted.count,
    )  # fmt: skip


def _is_saddle(top: Climb, vibrations: Vibrations, imaginary: float) -> bool:
    return top.converged and bool((vibrations.frequencies < -imaginary).sum())


def _zero_point(ends: Sequence[Atoms], own: float) -> Task[tuple[float, float]]:
    found = yield from side_by_side([hessian_task(end) for end in ends])
    below = [vibrations_of(one).zero_point_energy for one in found]
    return own - below[0], own - below[1]


def _spread(end: Results, saddle: Results, calibration: Calibration) -> float | None:
    # Of the difference, member by member: much of what they err cancels.
    if "energy_members" not in end:
        return None
    members = saddle["energy_members"] - end["energy_members"]
    return energy_spread(members, calibration)


def _path(sides: Sequence[Descent]) -> tuple[list[Atoms], Array]:
    """Images and energies from the minimum of one side to that of the other."""
    if not sides:
        return [], np.empty(0)
    first, last = sides
    images = [*reversed(first.images), *last.images[1:]]
    return images, np.concatenate([first.energies[::-1], last.energies[1:]])
