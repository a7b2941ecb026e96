"""Suite of smoothness: scans, dynamics and a symmetry, is the surface one?"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
from ase import Atoms, units
from ase.build import molecule
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet

from ase_physml.evaluation.candidate import Candidate, Molecule
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good
from ase_physml.evaluation.suites.assembly import cuttable

Array = npt.NDArray[np.float64]

DIATOMICS = ("H2", "N2", "CO")
STRETCHED = 10  # molecules
POINTS = 121
CHECKED = 6  # every so many points, whether the force is the slope
NEAR = 1e-3  # Å, between energies whose difference is the slope
MD_STEPS = 1000
TIME_STEP = 0.5  # fs
TEMPERATURE = 300.0  # K
# Rises and falls smaller than this are not wells, eV.
NOISE = 2e-3


def _cases(candidate: Candidate) -> Iterator[Case]:
    for name in DIATOMICS:
        yield f"{name}, distance", partial(_diatomic, candidate, name)
    for one in candidate.molecules[:STRETCHED]:
        yield f"{one.name}, stretched", partial(_stretch, candidate, one)
    yield "CH4 to H2O, distance", partial(_approach, candidate)
    for one in candidate.molecules[:2]:
        yield f"{one.name}, dynamics", partial(_dynamics, candidate, one)
    yield "CH4, symmetry", partial(_symmetry, candidate)


def _diatomic(candidate: Candidate, name: str) -> Record:
    atoms = molecule(name)
    axis = np.array([0.0, 0.0, 1.0])
    atoms.positions = [[0, 0, 0], [0, 0, 1]]
    return _scan(candidate, atoms, [1], axis, np.linspace(0.4, 6.0, POINTS) - 1.0)


def _stretch(candidate: Candidate, one: Molecule) -> Record:
    """Scan of the first bond that a group hangs on, as a rigid group."""
    found = cuttable(one.atoms)
    if not found:
        return {"kind": "left out"}
    (rest, root), group = found[0]
    axis = one.atoms.positions[root] - one.atoms.positions[rest]
    length = float(np.linalg.norm(axis))
    shifts = np.linspace(0.65 * length, 2.5 * length, POINTS) - length
    return _scan(candidate, one.atoms, group, axis / length, shifts)


def _approach(candidate: Candidate) -> Record:
    """Scan of two molecules that part, across any cutoff."""
    first, second = molecule("CH4"), molecule("H2O")
    second.translate([0, 0, 6.0])
    atoms = first + second
    group = list(range(len(first), len(atoms)))
    axis = np.array([0.0, 0.0, 1.0])
    return _scan(candidate, atoms, group, axis, np.linspace(-4.0, 16.0, POINTS))


def _scan(
    candidate: Candidate, start: Atoms, group: list[int], axis: Array, shifts: Array
) -> Record:
    """Energies along a shift of some atoms, and whether forces are their slope."""

    def shifted(shift: float) -> Atoms:
        atoms: Atoms = start.copy()
        atoms.positions[group] += shift * axis
        atoms.calc = candidate.calculator
        return atoms

    curve = np.array([shifted(s).get_potential_energy() for s in shifts])
    gaps = [0.0]
    for shift in shifts[::CHECKED]:
        force = float((shifted(shift).get_forces()[group] @ axis).sum())
        ends = [shifted(shift + h).get_potential_energy() for h in (NEAR, -NEAR)]
        slope = (ends[0] - ends[1]) / (2.0 * NEAR)
        # Where atoms overlap, a relative error is all that one can ask for.
        gaps.append(float(abs(force + slope)) / max(1.0, abs(slope)))
    return {
        "kind": "scan",
        "wells": _wells(curve),
        "repulsive": bool(curve[0] > curve.min() + NOISE),
        "gap": max(gaps),
        "shifts": shifts.round(4).tolist(),
        "energies": (curve - curve.min()).round(5).tolist(),
    }


def _wells(curve: Array) -> int:
    """Number of minima, those at the ends of the curve too."""
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


def _dynamics(candidate: Candidate, one: Molecule) -> Record:
    """Drift of the total energy at constant volume: the slope of a fitted line."""
    atoms = candidate.own_minimum(one).atoms.copy()
    atoms.calc = candidate.calculator
    random = candidate.random("dynamics", one.name)
    MaxwellBoltzmannDistribution(atoms, temperature_K=2 * TEMPERATURE, rng=random)
    Stationary(atoms)
    total: list[float] = []
    run = VelocityVerlet(atoms, TIME_STEP * units.fs)
    run.attach(lambda: total.append(float(atoms.get_total_energy())), interval=10)
    run.run(MD_STEPS)
    time = np.arange(len(total)) * 10 * TIME_STEP / 1000.0
    energies = 1000.0 * (np.array(total) - total[0]) / len(atoms)
    return {
        "kind": "dynamics",
        "drift": abs(float(np.polyfit(time, energies, 1)[0])),
        "time": time.tolist(),
        "energies": energies.round(4).tolist(),
    }


def _symmetry(candidate: Candidate) -> Record:
    """Methane, displaced, has four equal bonds and six equal angles again."""
    atoms = molecule("CH4")
    atoms.positions += 0.1 * candidate.random("CH4").normal(size=atoms.positions.shape)
    found = candidate.relax(atoms, fmax=0.001).atoms
    bonds = found.get_distances(0, [1, 2, 3, 4])
    pairs = [(i, j) for i in range(1, 5) for j in range(i + 1, 5)]
    angles = np.array([found.get_angle(i, 0, j) for i, j in pairs])
    return {
        "kind": "symmetry",
        "bonds": float(np.ptp(bonds)),
        "angles": float(np.ptp(angles)),
    }


def _rows(records: Records) -> dict[str, Row]:
    some = list(good(records).values())
    scans = [r for r in some if r["kind"] == "scan"]
    rows: dict[str, Row] = {}
    if scans:
        rows["scans"] = {
            "cases": len(scans),
            "one well (%)": 100.0 * float(np.mean([r["wells"] == 1 for r in scans])),
            "repulsive close in (%)": 100.0
            * float(np.mean([r["repulsive"] for r in scans])),
            "force against slope, worst": max(r["gap"] for r in scans),
        }
    runs = [r["drift"] for r in some if r["kind"] == "dynamics"]
    if runs:
        rows["dynamics"] = {"cases": len(runs), "drift (meV/atom/ps)": max(runs)}
    for record in some:
        if record["kind"] == "symmetry":
            rows["CH4"] = {
                "cases": 1,
                "C-H bonds differ by (Å)": record["bonds"],
                "angles differ by (°)": record["angles"],
            }
    return rows


SMOOTHNESS = Suite(
    name="smoothness",
    title="Smoothness",
    about=(
        "Rigid scans: two atoms apart, a group pulled from its molecule, a water "
        "molecule led past methane out of any cutoff. A curve should have one well, "
        "rise when atoms come close, and have the forces for its slope (worst error in "
        "eV/Å, above 1 eV/Å relative). Dynamics at "
        "constant energy should keep it; methane, displaced and relaxed, should have "
        "equal bonds and angles."
    ),
    cases=_cases,
    rows=_rows,
    better={
        "one well (%)": "high",
        "repulsive close in (%)": "high",
        "force against slope, worst": "low",
        "drift (meV/atom/ps)": "low",
        "C-H bonds differ by (Å)": "low",
        "angles differ by (°)": "low",
    },
)
