"""Relaxation of many structures by workers elsewhere, in units.

A worker relaxes a unit with `relax_many` and sends back what became of it, trajectories
included; only this process writes files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator

from ase_physml.calculators.physml import PhysMLCalculator
from ase_physml.calculators.provenance import model_identity
from ase_physml.errors import PhysMLError, StructureError
from ase_physml.jobs.disk import atomic_write, writing
from ase_physml.jobs.pool import Lost, Workers
from ase_physml.workflows.relax_many import Outcome, relax_many
from ase_physml.workflows.relaxation import Relaxed, check_settings

# Structures relaxed together, and units at least, so that all workers have some.
_UNIT, _UNITS = 32, 8


@dataclass(frozen=True)
class Potential:
    """What a worker makes its calculator of; see `PhysMLCalculator`.

    Attributes:
        model: Shipped name, or a path that workers find too.
        device: Of theirs.
        dtype: Of the calculation.
        compiled: Compile first.
        version: Tells it from an earlier one of its name, which a worker may have.
    """

    model: str
    device: str = "auto"
    dtype: Literal["float64", "float32"] = "float64"
    compiled: bool = False
    version: str = ""

    def calculator(self) -> PhysMLCalculator:
        """It, new.

        Raises:
            PotentialError: As of `PhysMLCalculator`.
        """
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
    potential: Potential,
    *,
    optimizer: str = "BFGS",
    fmax: float = 0.01,
    steps: int = 500,
    on_done: Callable[[int, Outcome], None] | None = None,
    trajectories: Sequence[Path] | None = None,
) -> list[Outcome]:
    """Relax copies of structures, as `relax_many` does, wherever there are workers.

    Args:
        workers: Such as `DaskWorkers`.
        structures: Any sizes; they stay as they are. Constraints are kept.
        potential: Of all.
        optimizer: "BFGS", "LBFGS" or "FIRE", of ASE.
        fmax: Threshold of the largest force, eV/Å.
        steps: Steps at most.
        on_done: Called with the index of a structure and what became of it, as units
            come back.
        trajectories: An ASE trajectory for each, complete or not there.

    Returns:
        For each structure what became of it: `Relaxed`, its results in a single-point
        calculator; or an exception, also where workers died of it.

    Raises:
        StructureError: A setting out of range.
        DataError: No worker is left, or a trajectory cannot be written.
        PotentialError: A worker cannot load the potential.
    """
    check_settings(optimizer, fmax, steps)
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


def _located(potential: Potential) -> Potential:
    """Files by their whole path: workers are in folders of their own."""
    version = model_identity(potential.model)["sha256"]
    path = Path(potential.model)
    model = str(path.resolve()) if path.is_file() else potential.model
    return replace(potential, model=model, version=version)


def _relax_unit(
    potential: Potential, settings: _Settings, unit: Sequence[Atoms]
) -> list[tuple[Outcome, bytes]]:
    """What became of each, and its trajectory; runs in a worker."""
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
def _calculator(potential: Potential) -> PhysMLCalculator:
    return potential.calculator()


def _portable(outcome: Outcome) -> Outcome:
    """Without what does not travel: weights, and exceptions of any library."""
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
