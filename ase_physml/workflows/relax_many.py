"""Relaxation of many structures: their forces computed together, here or by workers.

A worker elsewhere relaxes a unit of structures with `relax_many` and sends back what
became of them, trajectories included; only this process writes files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from ase import Atoms
from ase.calculators.calculator import Calculator, all_properties
from ase.calculators.singlepoint import SinglePointCalculator

from ase_physml.calculators.batch_evaluator import BatchEvaluator
from ase_physml.calculators.names import CalculatorLike, as_calculator, is_potential
from ase_physml.calculators.physml import PhysMLCalculator
from ase_physml.calculators.provenance import identity_of, model_identity
from ase_physml.data.conversion import from_atoms
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write as write_set
from ase_physml.errors import PhysMLError, StructureError, WriteError
from ase_physml.jobs.disk import atomic_write, writing
from ase_physml.jobs.pool import Lost, Workers
from ase_physml.workflows.relax import (
    Relaxation,
    Relaxed,
    check_is_atoms,
    check_settings,
    relaxation_identity,
)

# Structures relaxed together, and units at least, so that all workers have some.
_UNIT, _UNITS = 32, 8

Outcome = Relaxed | Exception
"""A relaxed structure, or why it is none."""


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
        structures: Structures of any sizes; they stay as they are. Constraints are
            kept.
        calculator: Calculator or its name, see `as_calculator`. One that has
            ``calculate_many``, as PhysML's have, computes batches; any other of ASE's
            works, but one structure after the other.
        optimizer: Name of ASE's optimizer: "BFGS", "LBFGS" or "FIRE".
        fmax: Threshold of the largest force, eV/Å.
        steps: Largest number of steps; 0 evaluates the structures as they are.
        batch_size: Number of structures under way at a time; fewer are computed
            together if memory runs out.
        on_done: Called with the index of a structure and what became of it, as it
            leaves: to write results, to show progress.
        on_step: Called with the index, the step and the largest force in eV/Å.
        trajectories: ASE trajectory for each; see `relax`. Those of an interrupted run
            stay as ``*.part``.
        resume: Whether to go on from the unfinished trajectories of a run that was
            killed, with the outcome of one run; those of other work are a `DataError`
            of their structure. Complete ones are for the caller to leave out.

    Returns:
        For each structure `Relaxed`; or an exception, mostly a `StructureError`, where
        it is no structure, the calculator refuses it or its energy stops being finite.
        The others go on.

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
    """Compute forces of all; those that moved where no calculator follows leave."""
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
    """Take one step; what became of the structure if it was the last."""
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


def write_relaxed(path: Path, done: Mapping[str, Relaxed], potential: str) -> None:
    """Write final structures with their energies and forces as one HDF5 set.

    Args:
        path: File to write, replaced if it exists.
        done: Relaxed structures by name.
        potential: Name of the potential that relaxed them, for the metadata.

    Raises:
        DataError: The file cannot be written.
    """
    frames = (replace(from_atoms(one.atoms), name=name) for name, one in done.items())
    write_set(path, frames, Metadata(potential, source=f"relaxed with {potential}"))


@dataclass(frozen=True)
class PotentialOptions:
    """A calculator by name, as it travels to workers; see `make_calculator`.

    Attributes:
        model: Shipped name, or a path that workers find too; or another calculator,
            such as "tblite:GFN2-xTB", which has no other options.
        device: Device of the workers: "auto", "cpu" or "cuda".
        dtype: Precision of the calculation.
        compiled: Whether to compile it first.
        version: Hash of its file: a worker may have an earlier one of this name.
    """

    model: str
    device: str = "auto"
    dtype: Literal["float64", "float32"] = "float64"
    compiled: bool = False
    version: str = ""

    def calculator(self) -> Calculator:
        """A new calculator.

        Raises:
            PotentialError: See `PhysMLCalculator` and `make_calculator`.
        """
        if not is_potential(self.model):
            return as_calculator(self.model)
        return PhysMLCalculator(
            self.model, device=self.device, dtype=self.dtype, compiled=self.compiled
        )


@dataclass(frozen=True)
class _Settings:
    optimizer: str
    fmax: float
    steps: int
    logged: bool


def relax_on(
    workers: Workers,
    structures: Sequence[Atoms],
    potential: PotentialOptions | str,
    *,
    optimizer: str = "BFGS",
    fmax: float = 0.01,
    steps: int = 500,
    on_done: Callable[[int, Outcome], None] | None = None,
    trajectories: Sequence[Path] | None = None,
) -> list[Outcome]:
    """Relax copies of structures, as `relax_many` does, wherever there are workers.

    Args:
        workers: Workers, such as `DaskWorkers`.
        structures: Structures of any sizes; they stay as they are. Constraints are
            kept.
        potential: PotentialOptions of all, or its name.
        optimizer: Name of ASE's optimizer: "BFGS", "LBFGS" or "FIRE".
        fmax: Threshold of the largest force, eV/Å.
        steps: Largest number of steps.
        on_done: Called with the index of a structure and what became of it, as units
            come back.
        trajectories: ASE trajectory for each, complete or not there.

    Returns:
        For each structure `Relaxed`, its results in a single-point calculator; or an
        exception, also where workers died of it.

    Raises:
        StructureError: A setting out of range.
        DataError: No worker is left, or a trajectory cannot be written.
        PotentialError: A worker cannot load the potential.
    """
    check_settings(optimizer, fmax, steps)
    if isinstance(potential, str):
        potential = PotentialOptions(potential)
    settings = _Settings(optimizer, fmax, steps, trajectories is not None)
    work = partial(_relax_unit, _located(potential), settings)
    outcomes: dict[int, Outcome] = {}
    for first, _, results in workers.map_units(work, _units(structures)):
        for index, result in enumerate(results, start=first):
            outcome: Outcome
            if isinstance(result, Lost):
                outcome = StructureError(result.reason)
            else:
                outcome, log = result
                if trajectories is not None and log:
                    _write(trajectories[index], log)
            outcomes[index] = outcome
            if on_done is not None:
                on_done(index, outcome)
    return [outcomes[index] for index in range(len(structures))]


def _units(structures: Sequence[Atoms]) -> Iterator[tuple[int, Sequence[Atoms]]]:
    # Whatever the number of workers: what is computed together gives the last digits.
    size = max(1, min(_UNIT, len(structures) // _UNITS))
    for start in range(0, len(structures), size):
        # Copies have no calculator, which need not travel.
        yield start, [atoms.copy() for atoms in structures[start : start + size]]


def _located(potential: PotentialOptions) -> PotentialOptions:
    """The same, a file by its whole path: workers are in folders of their own."""
    if not is_potential(potential.model):
        return potential
    version = model_identity(potential.model)["sha256"]
    path = Path(potential.model)
    model = str(path.resolve()) if path.is_file() else potential.model
    return replace(potential, model=model, version=version)


def _relax_unit(
    potential: PotentialOptions, settings: _Settings, unit: Sequence[Atoms]
) -> list[tuple[Outcome, bytes]]:
    """Relaxed structures and the bytes of their trajectories; runs in a worker."""
    with TemporaryDirectory() as folder:
        logs = [Path(folder) / f"{k}.traj" for k in range(len(unit))]
        outcomes = relax_many(
            unit,
            _calculator(potential),
            optimizer=settings.optimizer,
            fmax=settings.fmax,
            steps=settings.steps,
            batch_size=len(unit),
            trajectories=logs if settings.logged else None,
        )
        return [
            (_portable(outcome), log.read_bytes() if log.is_file() else b"")
            for outcome, log in zip(outcomes, logs, strict=True)
        ]


@lru_cache(maxsize=1)
def _calculator(potential: PotentialOptions) -> Calculator:
    return potential.calculator()


def _portable(outcome: Outcome) -> Outcome:
    """The same without what does not travel: weights, exceptions of any library."""
    if isinstance(outcome, Relaxed):
        atoms = outcome.atoms.copy()
        results = outcome.atoms.calc.results
        known = {k: v for k, v in results.items() if k in all_properties}
        atoms.calc = SinglePointCalculator(atoms, **known)
        return replace(outcome, atoms=atoms)
    if isinstance(outcome, PhysMLError):
        return outcome
    return StructureError(f"{type(outcome).__name__}: {outcome}")


def _write(path: Path, content: bytes) -> None:
    with writing(path), atomic_write(path) as partial_:
        partial_.write_bytes(content)
