"""Files of vibrations: Molden's text, a trajectory of the modes, numbers as JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator

from ase_physml.jobs.disk import atomic_write, write_json, writing
from ase_physml.workflows.image_files import write_images
from ase_physml.workflows.vibrations.normal_modes import Vibrations
from ase_physml.workflows.vibrations.thermochemistry import Thermochemistry

# Å; the largest displacement of an atom in a trajectory.
_AMPLITUDE = 0.3
_FRAMES = 16


def write_molden(path: Path, vibrations: Vibrations) -> None:
    """Write frequencies and modes as text that Molden, Jmol and others read.

    Imaginary frequencies are negative there, as these programs want them.

    Args:
        path: File, replaced if it exists.
        vibrations: Vibrations of one structure.

    Raises:
        WriteError: It cannot be written.
    """
    atoms = vibrations.atoms
    lines = ["[Molden Format]", "[FREQ]"]
    lines += [f"{one:12.4f}" for one in vibrations.frequencies]
    if vibrations.intensities is not None:
        lines += ["[INT]", *(f"{one:12.4f}" for one in vibrations.intensities)]
    lines.append("[FR-COORD]")
    for symbol, place in zip(atoms.symbols, atoms.positions / units.Bohr, strict=True):
        lines.append(f"{symbol:3s}" + "".join(f"{x:16.8f}" for x in place))
    lines.append("[FR-NORM-COORD]")
    for number, mode in enumerate(vibrations.modes, start=1):
        lines.append(f"vibration {number}")
        lines += ["".join(f"{x:16.8f}" for x in row) for row in mode / units.Bohr]
    with writing(path), atomic_write(path) as partial:
        partial.write_text("\n".join(lines) + "\n", "utf-8")


def write_modes(path: Path, vibrations: Vibrations) -> None:
    """Write an ASE trajectory of all modes, one period of each after the other.

    Each frame says its ``mode`` and its ``frequency`` in cm-1 in ``info``.

    Args:
        path: File, replaced if it exists.
        vibrations: Vibrations of one structure.

    Raises:
        WriteError: It cannot be written.
    """
    write_images(list(_frames(vibrations)), path)


def _frames(vibrations: Vibrations) -> Iterator[Atoms]:
    rest = vibrations.atoms
    pairs = zip(vibrations.frequencies, vibrations.modes, strict=True)
    for number, (frequency, mode) in enumerate(pairs):
        scale = _AMPLITUDE / np.linalg.norm(mode, axis=1).max()
        for phase in np.linspace(0.0, 2.0 * np.pi, _FRAMES, endpoint=False):
            frame = rest.copy()
            frame.constraints = []
            frame.positions += scale * np.sin(phase) * mode
            frame.info = {"mode": number, "frequency": float(frequency)}
            yield frame


def write_numbers(
    path: Path,
    vibrations: Vibrations,
    thermo: Thermochemistry | Exception,
    made_of: Mapping[str, Any],
) -> None:
    """Write frequencies, intensities and thermochemistry as JSON.

    Args:
        path: File, replaced if it exists.
        vibrations: Vibrations of one structure.
        thermo: Its thermochemistry, or why there is none.
        made_of: What the numbers depend on, to compare when a run goes on.

    Raises:
        WriteError: It cannot be written.
    """
    intensities = vibrations.intensities
    content = {
        "made_of": dict(made_of),
        "shape": vibrations.shape,
        "largest_force_eV_per_A": vibrations.hessian.largest_force,
        "frequencies_per_cm": vibrations.frequencies.tolist(),
        "intensities_km_per_mol": None if intensities is None else intensities.tolist(),
        "reduced_masses_amu": vibrations.reduced_masses.tolist(),
        "imaginary": len(vibrations.imaginary),
        "zero_point_energy_eV": vibrations.zero_point_energy,
        "remarks": list(vibrations.remarks),
        "thermochemistry": str(thermo)
        if isinstance(thermo, Exception)
        else asdict(thermo),
    }
    with writing(path):
        write_json(path, content, indent=1)


def labelled(vibrations: Vibrations) -> Atoms:
    """The structure, with energy and forces that files keep."""
    atoms: Atoms = vibrations.atoms.copy()
    known = vibrations.atoms.calc.results
    atoms.calc = SinglePointCalculator(
        atoms, energy=known["energy"], forces=known["forces"]
    )
    return atoms
