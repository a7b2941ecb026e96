"""Scans: energies along a shift of some atoms of a structure."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.calculator import CalculatorError

from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.suite import Record

Array = npt.NDArray[np.float64]

CHECKED = 6  # every so many points, whether the force is the slope
NEAR = 1e-3  # Å, between energies whose difference is the slope
NOISE = 2e-3  # eV
# Points that fail, after which the rest of a scan is not tried: each takes long.
_ENOUGH = 3


def scan(
    candidate: Candidate, start: Atoms, group: list[int], axis: Array, shifts: Array
) -> Record:
    """Energies along a shift of some atoms, and whether forces are their slope.

    Args:
        candidate: Calculator to measure.
        start: Structure without a shift.
        group: Atoms that move together.
        axis: Direction, of unit length, (3,).
        shifts: Shifts to compute energies at, Å, ascending.

    Returns:
        Number of wells, whether the first point is above the lowest, worst error of a
        force (eV/Å, above 1 eV/Å relative), number of points that the calculator did
        not compute; shifts and energies above the lowest of the others.

    Raises:
        CalculatorError: None of the points can be computed.
    """

    def shifted(shift: float) -> Atoms:
        atoms: Atoms = start.copy()
        atoms.positions[group] += shift * axis
        atoms.calc = candidate.calculator
        return atoms

    curve, there, failures = [], [], []
    for shift in shifts:
        try:
            curve.append(shifted(shift).get_potential_energy())
            there.append(shift)
        except CalculatorError as error:
            failures.append(error)
            if len(failures) == _ENOUGH:
                break
    if not there:
        raise failures[0]
    gaps = [0.0]
    for shift in there[::CHECKED]:
        with suppress(CalculatorError):  # beside one that went well
            gaps.append(_gap(shifted, shift, group, axis))
    energies = np.array(curve)
    return {
        "kind": "scan",
        "wells": count_wells(energies),
        "repulsive": bool(energies[0] > energies.min() + NOISE),
        "gap": max(gaps),
        "missing": len(shifts) - len(there),
        "shifts": np.round(there, 4).tolist(),
        "energies": (energies - energies.min()).round(5).tolist(),
    }


def _gap(
    shifted: Callable[[float], Atoms], shift: float, group: list[int], axis: Array
) -> float:
    """Error of a force; where atoms overlap, a relative one is all one can ask for."""
    force = float((shifted(shift).get_forces()[group] @ axis).sum())
    ends = [float(shifted(shift + h).get_potential_energy()) for h in (NEAR, -NEAR)]
    slope = (ends[0] - ends[1]) / (2.0 * NEAR)
    return abs(force + slope) / max(1.0, abs(slope))


def count_wells(curve: Array) -> int:
    """Number of minima, those at the ends of the curve too.

    Args:
        curve: Energies, eV; rises and falls below `NOISE` are none.
    """
    wells, lowest, highest, falling = 0, curve[0], curve[0], True
    for energy in curve[1:]:
        if falling:
            lowest = min(lowest, energy)
            if energy > lowest + NOISE:
                wells, falling, highest = wells + 1, False, energy
        else:
            highest = max(highest, energy)
            if energy < highest - NOISE:
                falling, lowest = True, energy
    return wells + falling
