"""Relaxation of one structure, step by step or as a whole, by ASE's optimizers."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.trajectory import TrajectoryReader, TrajectoryWriter
from ase.io.ulm import InvalidULMFileError as UlmError
from ase.optimize import BFGS, FIRE, LBFGS

from ase_physml.calculators.names import CalculatorLike, as_calculator
from ase_physml.calculators.provenance import identity_of
from ase_physml.data.files.xyz import write_xyz
from ase_physml.errors import StructureError
from ase_physml.jobs.disk import partial_file, writing
from ase_physml.jobs.identity import Identity
from ase_physml.workflows.alignment import mean_displacement
from ase_physml.workflows.uncertainty import Doubt, doubt_about, most_doubtful

OPTIMIZERS = {"BFGS": BFGS, "LBFGS": LBFGS, "FIRE": FIRE}

OnStep = Callable[[int, float], None]
"""Called with the step and the largest force in eV/Å, at the start (step 0) too."""

AFRESH = "start over with --overwrite, or choose another folder"
_GO_ON = "go on with --resume"
# Of the stored identity, and of the trajectory beside it.
_FORMAT = 1


@dataclass(frozen=True)
class Relaxed:
    """A relaxed structure, and how it got there.

    Attributes:
        atoms: Final structure, with the calculator that relaxed it.
        energies: Energies at the start and every step, eV.
        forces: Forces on the final structure, (N, 3), eV/Å; zero on atoms that are
            held.
        fmax_history: Largest force at the start and every step, eV/Å.
        converged: Whether the largest force fell below the threshold.
        seconds: Wall time, s.
        moved: Mean displacement of the atoms, Å, of molecules after alignment.
        doubt: Most doubtful structure on the way, if a committee relaxed it.
    """

    atoms: Atoms
    energies: list[float]
    forces: npt.NDArray[np.float64]
    fmax_history: list[float]
    converged: bool
    seconds: float
    moved: float
    doubt: Doubt | None = None

    @property
    def steps(self) -> int:
        """Number of optimizer steps."""
        return len(self.energies) - 1


class Relaxation:
    """A relaxation under way: a copy of a structure, its optimizer, what has happened.

    `record` wants the energy and the forces of `atoms`, `step` moves them; whoever runs
    it may compute them in between, together with those of other structures.

    Args:
        start: Structure with a calculator; stays as it is.
        optimizer: Name of ASE's optimizer: "BFGS", "LBFGS" or "FIRE".
        fmax: Threshold of the largest force, eV/Å.
        steps: Largest number of steps.
        trajectory: ASE trajectory of the start and every step. The file appears under
            its name when the relaxation has ended.
        on_step: See `OnStep`.
        resume: Whether to go on from the unfinished trajectory of a run that was
            killed.
        identity: Identity of the trajectory; by default that of
            `relaxation_identity`.

    Raises:
        StructureError: A setting out of range, or no atoms or calculator.
        DataError: The unfinished trajectory is of other work.
    """

    def __init__(
        self,
        start: Atoms,
        optimizer: str,
        fmax: float,
        steps: int,
        trajectory: Path | None = None,
        on_step: OnStep | None = None,
        resume: bool = False,
        identity: Identity | None = None,
    ) -> None:
        check_settings(optimizer, fmax, steps)
        _check_start(start)
        self.start = start
        self.atoms = start.copy()
        self.atoms.calc = start.calc
        self.fmax, self.steps = fmax, steps
        self.energies: list[float] = []
        self.fmax_history: list[float] = []
        self.doubt: Doubt | None = None
        self._on_step = on_step
        self._driver = OPTIMIZERS[optimizer](self.atoms, logfile=None)
        self._began = perf_counter()
        self._trajectory = trajectory
        self._log: TrajectoryWriter | None = None
        if trajectory is not None:
            made_of = identity or relaxation_identity(
                start, identity_of(start.calc), optimizer, fmax, steps
            )
            partial = partial_file(trajectory)
            earlier = _checked(partial, made_of) if resume else []
            with writing(trajectory, _GO_ON):
                self._log = TrajectoryWriter(partial, "w", self.atoms)
            self._log.set_description({"made_of": dict(made_of.values)})
            self._replay(earlier)

    @property
    def converged(self) -> bool:
        """Whether the largest force is below the threshold."""
        return bool(self.fmax_history) and self.fmax_history[-1] < self.fmax

    @property
    def finished(self) -> bool:
        """Whether it has converged, or is out of steps."""
        return self.converged or len(self.fmax_history) > self.steps

    def record(self) -> None:
        """Take down energy and forces where the atoms are.

        Raises:
            StructureError: They are not finite; or the calculator's own refusal.
            WriteError: The trajectory cannot be written.
        """
        energy = float(self.atoms.get_potential_energy())
        force = float(np.linalg.norm(self.atoms.get_forces(), axis=1).max())
        if not np.isfinite([energy, force]).all():
            raise StructureError(
                f"at step {len(self.energies)} the energy is {energy} eV and the "
                f"largest force {force} eV/Å; check the starting structure for "
                "atoms that are too close"
            )
        self.energies.append(energy)
        self.fmax_history.append(force)
        self.doubt = most_doubtful([self.doubt, doubt_about(self.atoms)])
        if self._log is not None and self._trajectory is not None:
            with writing(self._trajectory, _GO_ON):
                self._log.write()
        if self._on_step is not None:
            self._on_step(len(self.energies) - 1, force)

    def step(self) -> None:
        """Move the atoms by one step of the optimizer."""
        self._driver.step()
        self._driver.nsteps += 1

    def _replay(self, frames: list[Atoms]) -> None:
        """Take the steps of an earlier run again, from the forces it had found.

        The optimizer then knows all it knew: the outcome is that of one run.
        """
        calculator = self.atoms.calc
        for frame in frames:
            self.atoms.calc = SinglePointCalculator(self.atoms, **frame.calc.results)
            self.record()
            if self.finished:
                break
            self.step()
        self.atoms.calc = calculator

    def result(self) -> Relaxed:
        """The relaxed structure; completes the trajectory."""
        if self._log is not None and self._trajectory is not None:
            with writing(self._trajectory, _GO_ON):
                self._log.close()
                partial_file(self._trajectory).replace(self._trajectory)
        return Relaxed(
            atoms=self.atoms,
            energies=self.energies,
            forces=self.atoms.get_forces(),
            fmax_history=self.fmax_history,
            converged=self.converged,
            seconds=perf_counter() - self._began,
            moved=_moved(self.atoms, self.start),
            doubt=self.doubt,
        )

    def pause(self) -> None:
        """Leave an unfinished trajectory, to resume from."""
        if self._log is not None:
            with suppress(OSError):  # what a full disk did not take is no loss
                self._log.close()

    def abandon(self) -> None:
        """Leave no trajectory."""
        if self._log is not None and self._trajectory is not None:
            self.pause()
            partial_file(self._trajectory).unlink(missing_ok=True)


def relax(
    atoms: Atoms,
    calculator: CalculatorLike | None = None,
    *,
    optimizer: str = "BFGS",
    fmax: float = 0.01,
    steps: int = 500,
    on_step: OnStep | None = None,
    trajectory: Path | None = None,
) -> Relaxed:
    """Relax a copy of one structure, with any calculator of ASE's.

    Args:
        atoms: Structure; stays as it is. Constraints are kept.
        calculator: Calculator or its name, see `as_calculator`; by default that of the
            structure.
        optimizer: Name of ASE's optimizer: "BFGS", "LBFGS" or "FIRE".
        fmax: Threshold of the largest force, eV/Å.
        steps: Largest number of steps; 0 evaluates the structure as it is.
        on_step: See `OnStep`.
        trajectory: ASE trajectory of the start and every step. The file appears under
            its name when the relaxation has ended.

    Raises:
        StructureError: A setting out of range, no structure or no calculator, input
            that the calculator refuses, or energies and forces that stop being finite.
        PotentialError: What cannot be used as a calculator, or has no forces.
    """
    check_is_atoms(atoms, "what is to be relaxed")
    if calculator is not None:
        atoms = atoms.copy()
        atoms.calc = as_calculator(calculator)
    running = Relaxation(atoms, optimizer, fmax, steps, trajectory, on_step)
    try:
        running.record()
        while not running.finished:
            running.step()
            running.record()
    except BaseException:
        running.abandon()
        raise
    return running.result()


def write_final(done: Relaxed, stem: Path) -> None:
    """Write ``stem.xyz``, the final structure with its energy and forces."""
    write_xyz(stem.with_name(stem.name + ".xyz"), [done.atoms])


def relaxation_identity(
    start: Atoms, potential: Mapping[str, Any], optimizer: str, fmax: float, steps: int
) -> Identity:
    """Everything that the result of a relaxation depends on.

    Args:
        start: Structure.
        potential: Identity of the calculator, of `identity_of`.
        optimizer: "BFGS", "LBFGS" or "FIRE".
        fmax: Threshold of the largest force, eV/Å.
        steps: Largest number of steps.
    """
    return Identity.of(
        "relax",
        _FORMAT,
        structure=start,
        potential=potential,
        optimizer=optimizer,
        fmax=fmax,
        steps=steps,
    )


def finished(
    start: Atoms, trajectory: Path, fmax: float, identity: Identity
) -> Relaxed | None:
    """A structure that an earlier run relaxed; None where its trajectory is unfinished.

    Args:
        start: Structure.
        trajectory: Trajectory of the earlier run.
        fmax: Threshold of the largest force, eV/Å.
        identity: Identity of this run's relaxation, of `relaxation_identity`.

    Raises:
        DataError: The trajectory, finished or not, is of other work.
    """
    frames = _checked(trajectory, identity)
    if not frames:
        _checked(partial_file(trajectory), identity)
        return None
    largest = [float(np.linalg.norm(f.get_forces(), axis=1).max()) for f in frames]
    return Relaxed(
        atoms=frames[-1],
        energies=[float(frame.get_potential_energy()) for frame in frames],
        forces=frames[-1].get_forces(),
        fmax_history=largest,
        converged=largest[-1] < fmax,
        seconds=0.0,
        moved=_moved(frames[-1], start),
    )


def _checked(trajectory: Path, identity: Identity) -> list[Atoms]:
    """Frames of a trajectory; none where there is no file, or a broken one.

    Raises:
        DataError: It is of other work.
    """
    try:
        with TrajectoryReader(trajectory) as frames:
            stored, found = frames.description or {}, list(frames)
    except (OSError, ValueError, UlmError):
        return []
    if found:
        identity.check(stored.get("made_of"), trajectory, AFRESH)
    return found


def _moved(atoms: Atoms, start: Atoms) -> float:
    # A crystal cannot turn in its cell: its displacements count as they are.
    if start.pbc.any():
        shift = atoms.positions - start.positions
        return float(np.linalg.norm(shift, axis=1).mean())
    return mean_displacement(atoms.positions, start.positions)


def check_settings(optimizer: str, fmax: float, steps: int) -> None:
    """Refuse settings out of range.

    Raises:
        StructureError: Naming the setting.
    """
    if optimizer not in OPTIMIZERS:
        known = ", ".join(OPTIMIZERS)
        raise StructureError(f"optimizer {optimizer!r} is not one of {known}")
    if not fmax > 0:
        raise StructureError(f"fmax must be above 0 eV/Å, got {fmax}")
    if steps < 0:
        raise StructureError(f"steps must be 0 or more, got {steps}")


def check_is_atoms(given: object, name: str) -> None:
    """Refuse what is no structure.

    Args:
        given: Anything.
        name: Name of its place, such as that in a list.

    Raises:
        StructureError: Naming the place and what is there.
    """
    if isinstance(given, Atoms):
        return
    what = f"a {type(given).__name__}"
    if isinstance(given, list | tuple):
        what += f" of {len(given)}; lists must not be nested"
    raise StructureError(f"{name} is not an ase.Atoms but {what}")


def _check_start(atoms: Atoms) -> None:
    if len(atoms) == 0:
        raise StructureError("the structure has no atoms")
    if atoms.calc is None:
        raise StructureError("the structure has no calculator; set atoms.calc first")
