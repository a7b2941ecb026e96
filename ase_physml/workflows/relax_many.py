"""Relaxation of many structures, their forces computed together."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from ase import Atoms

from ase_physml.calculators.batch_evaluator import BatchEvaluator
from ase_physml.calculators.names import CalculatorLike
from ase_physml.calculators.provenance import identity_of
from ase_physml.errors import StructureError, WriteError
from ase_physml.workflows.relaxation import (
    Relaxation,
    Relaxed,
    check_is_atoms,
    check_settings,
    relaxation_identity,
)

Outcome = Relaxed | Exception


def relax_many(
    structures: Sequence[Atoms] | Atoms,
    calculator: CalculatorLike,
    *,
    optimizer: str = "BFGS",
    fmax: float = 0.01,
    steps: int = 500,
    batch_size: int = 256,
    on_done: Callable[[int, Outcome], None] | None = None,
    on_step: Callable[[int, int, float], None] | None = None,
    trajectories: Sequence[Path] | None = None,
    resume: bool = False,
) -> list[Outcome]:
    """Relax copies of structures, each by an ASE optimizer of its own.

    All structures move at once: one batch of forces serves a step of every one. A
    structure that has converged leaves, and the next takes its place. The result is
    that of `relax`, one structure after the other.

    Args:
        structures: Any sizes; they stay as they are. Constraints are kept.
        calculator: Or its name, see `as_calculator`. One that has ``calculate_many``,
            as PhysML's have, computes batches; any other of ASE's works, but one
            structure after the other.
        optimizer: "BFGS", "LBFGS" or "FIRE", of ASE.
        fmax: Threshold of the largest force, eV/Å.
        steps: Steps at most; 0 evaluates the structures as they are.
        batch_size: Structures under way at a time; fewer are computed together if
            memory runs out.
        on_done: Called with the index of a structure and what became of it, as it
            leaves: to write results, to show progress.
        on_step: Called with the index, the step and the largest force.
        trajectories: An ASE trajectory for each; see `relax`. Those of an interrupted
            run stay as ``*.part``.
        resume: Go on from the unfinished trajectories of a run that was killed, with
            the outcome of one run; those of other work are a `DataError` of their
            structure. Complete ones are for the caller to leave out.

    Returns:
        For each structure what became of it: an exception, mostly a `StructureError`,
        where it is no structure, the calculator refuses it or its energy stops being
        finite; the others go on.

    Raises:
        StructureError: A setting out of range.
        PotentialError: No calculator, or one without forces.
        WriteError: A trajectory cannot be written; unfinished ones stay.
    """
    if isinstance(structures, Atoms):
        structures = [structures]
    check_settings(optimizer, fmax, steps)
    if batch_size < 1:
        raise StructureError(f"batch_size must be 1 or more, got {batch_size}")
    evaluate = BatchEvaluator(calculator, batch_size)
    # Once, and not for each: a potential is identified by all its weights.
    potential = identity_of(evaluate.calculator) if trajectories is not None else {}
    outcomes: dict[int, Outcome] = {}

    def leave(index: int, outcome: Outcome) -> None:
        outcomes[index] = outcome
        if on_done is not None:
            on_done(index, outcome)

    def start(index: int) -> Relaxation:
        check_is_atoms(structures[index], f"structure {index}")
        atoms = structures[index].copy()
        evaluate.attach(atoms)
        path = trajectories[index] if trajectories is not None else None
        report = None if on_step is None else _about(index, on_step)
        made_of = (
            None
            if path is None
            else relaxation_identity(atoms, potential, optimizer, fmax, steps)
        )
        return Relaxation(atoms, optimizer, fmax, steps, path, report, resume, made_of)

    waiting = iter(range(len(structures)))
    running: dict[int, Relaxation] = {}
    try:
        while True:
            for index in islice(waiting, batch_size - len(running)):
                try:
                    running[index] = start(index)
                except WriteError:
                    raise
                except Exception as error:
                    leave(index, error)
            if not running:
                break
            _evaluate(evaluate, running, leave)
            for index, one in list(running.items()):
                outcome = _advance(one)
                if outcome is not None:
                    del running[index]
                    leave(index, outcome)
    except BaseException:
        for one in running.values():
            one.pause()
        raise
    return [outcomes[index] for index in range(len(structures))]


def _about(
    index: int, on_step: Callable[[int, int, float], None]
) -> Callable[[int, float], None]:
    return lambda step, force: on_step(index, step, force)


def _evaluate(
    evaluate: BatchEvaluator,
    running: dict[int, Relaxation],
    leave: Callable[[int, Outcome], None],
) -> None:
    """Forces of all; those that have moved where no calculator follows leave."""
    try:
        evaluate([one.atoms for one in running.values()])
    except Exception:
        # One of them is to blame: it alone shall leave.
        for index, one in list(running.items()):
            try:
                evaluate([one.atoms])
            except Exception as error:
                one.abandon()
                del running[index]
                leave(index, error)


def _advance(one: Relaxation) -> Outcome | None:
    """One step; what became of the structure if it was the last."""
    try:
        one.record()
        if one.finished:
            return one.result()
        one.step()
    except WriteError:
        raise  # of all: nothing that follows could be written either
    except Exception as error:
        one.abandon()
        return error
    return None
