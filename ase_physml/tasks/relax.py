"""Relaxation of one structure with an ASE optimizer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.io import write
from ase.io.trajectory import TrajectoryWriter
from ase.optimize import BFGS, FIRE, LBFGS

from ase_physml.errors import StructureError

OPTIMIZERS = {"BFGS": BFGS, "LBFGS": LBFGS, "FIRE": FIRE}

Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Relaxed:
    """What became of a structure.

    Attributes:
        atoms: Final structure, with the calculator that relaxed it.
        energies: eV, the start and every step.
        forces: Largest force in eV/Å, the start and every step.
        converged: The largest force fell below the threshold.
        seconds: Wall time.
        moved: Mean displacement of the atoms in Å, molecules after alignment.
    """

    atoms: Atoms
    energies: list[float]
    forces: list[float]
    converged: bool
    seconds: float
    moved: float

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return len(self.energies) - 1


def relax(
    atoms: Atoms,
    optimizer: str = "BFGS",
    fmax: float = 0.01,
    steps: int = 500,
    on_step: Progress | None = None,
    trajectory: Path | None = None,
) -> Relaxed:
    """Relax a copy of a structure with its own calculator, any of ASE's.

    Args:
        atoms: Structure with a calculator; stays as it is.
        optimizer: "BFGS", "LBFGS" or "FIRE", of ASE.
        fmax: Threshold of the largest force, eV/Å.
        steps: Steps at most; 0 evaluates the structure as it is.
        on_step: Called with the step and the largest force, at the start (step 0) too.
        trajectory: ASE trajectory of the start and every step. The file appears under
            its name when the relaxation has ended.

    Raises:
        StructureError: A setting out of range, no calculator, input that the calculator
            refuses, or energies and forces that stop being finite.
    """
    _check_settings(atoms, optimizer, fmax, steps)
    moving = atoms.copy()
    moving.calc = atoms.calc
    if trajectory is None:
        return _run(atoms, moving, optimizer, fmax, steps, on_step, None)
    partial = trajectory.with_name(trajectory.name + ".part")
    try:
        with TrajectoryWriter(partial, "w", moving) as log:
            done = _run(atoms, moving, optimizer, fmax, steps, on_step, log)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(trajectory)
    return done


def relax_to_files(
    atoms: Atoms,
    stem: Path,
    optimizer: str,
    fmax: float,
    steps: int,
    on_step: Progress | None = None,
) -> Relaxed:
    """As `relax`; writes ``stem.traj`` and ``stem.xyz``, each once it is complete."""
    done = relax(
        atoms, optimizer, fmax, steps, on_step, stem.with_name(stem.name + ".traj")
    )
    final = stem.with_name(stem.name + ".xyz")
    partial = final.with_name(final.name + ".part")
    write(partial, done.atoms, format="extxyz")
    partial.replace(final)
    return done


def mean_displacement(
    positions: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]
) -> float:
    """Mean distance in Å between two structures after the best proper rotation.

    Kabsch, Acta Cryst. A 32, 922 (1976).

    Args:
        positions: (N, 3).
        reference: (N, 3), atoms in the same order.
    """
    a = positions - positions.mean(axis=0)
    b = reference - reference.mean(axis=0)
    u, _, v = np.linalg.svd(a.T @ b)
    # A mirror image is another molecule: only proper rotations may align it.
    u[:, -1] *= np.sign(np.linalg.det(u @ v))
    return float(np.linalg.norm(a @ (u @ v) - b, axis=1).mean())


def _run(
    start: Atoms,
    moving: Atoms,
    optimizer: str,
    fmax: float,
    steps: int,
    on_step: Progress | None,
    log: TrajectoryWriter | None,
) -> Relaxed:
    energies: list[float] = []
    forces: list[float] = []
    began = perf_counter()

    def record() -> None:
        energies.append(float(moving.get_potential_energy()))
        forces.append(float(np.linalg.norm(moving.get_forces(), axis=1).max()))
        if not np.isfinite([energies[-1], forces[-1]]).all():
            raise StructureError(
                f"at step {len(energies) - 1} the energy is {energies[-1]} eV and the "
                f"largest force {forces[-1]} eV/Å; check the starting structure for "
                "atoms that are too close"
            )
        if log is not None:
            log.write()
        if on_step is not None:
            on_step(len(energies) - 1, forces[-1])

    driver = OPTIMIZERS[optimizer](moving, logfile=None)
    driver.attach(record)
    driver.run(fmax=fmax, steps=steps)
    return Relaxed(
        atoms=moving,
        energies=energies,
        forces=forces,
        converged=forces[-1] < fmax,
        seconds=perf_counter() - began,
        moved=_moved(moving, start),
    )


def _moved(atoms: Atoms, start: Atoms) -> float:
    # A crystal cannot turn in its cell: its displacements count as they are.
    if start.pbc.any():
        shift = atoms.positions - start.positions
        return float(np.linalg.norm(shift, axis=1).mean())
    return mean_displacement(atoms.positions, start.positions)


def _check_settings(atoms: Atoms, optimizer: str, fmax: float, steps: int) -> None:
    if optimizer not in OPTIMIZERS:
        known = ", ".join(OPTIMIZERS)
        raise StructureError(f"optimizer {optimizer!r} is not one of {known}")
    if not fmax > 0:
        raise StructureError(f"fmax must be above 0 eV/Å, got {fmax}")
    if steps < 0:
        raise StructureError(f"steps must be 0 or more, got {steps}")
    if len(atoms) == 0:
        raise StructureError("the structure has no atoms")
    if atoms.calc is None:
        raise StructureError("the structure has no calculator; set atoms.calc first")
