"""Relaxation of one structure with an ASE optimizer."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ase import Atoms

from ase_physml.data.conversion import from_atoms
from ase_physml.data.files.xyz import write_xyz
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write as write_set
from ase_physml.workflows.relaxation import Progress, Relaxation, Relaxed


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


def write_relaxed(path: Path, done: Mapping[str, Relaxed], potential: str) -> None:
    """Write final structures with their energies and forces as one HDF5 set.

    Args:
        path: File to write, replaced if it exists.
        done: By name.
        potential: That relaxed them, for the metadata.

    Raises:
        DataError: The file cannot be written.
    """
    frames = (replace(from_atoms(one.atoms), name=name) for name, one in done.items())
    write_set(path, frames, Metadata(potential, source=f"relaxed with {potential}"))
