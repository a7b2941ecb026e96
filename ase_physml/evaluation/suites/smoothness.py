"""Suite of smoothness: scans and a symmetry, is the surface one?"""

from collections.abc import Iterator
from functools import partial

import numpy as np
from ase.build import molecule

from ase_physml.evaluation.candidate import Candidate, Molecule
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good
from ase_physml.evaluation.suites.assembly import cuttable
from ase_physml.evaluation.suites.scans import scan

DIATOMICS = ("H2", "N2", "CO")
STRETCHED = 10  # molecules
POINTS = 121


def _cases(candidate: Candidate) -> Iterator[Case]:
    for name in DIATOMICS:
        yield f"{name}, distance", partial(_diatomic, candidate, name)
    for one in candidate.molecules[:STRETCHED]:
        yield f"{one.name}, stretched", partial(_stretch, candidate, one)
    yield "CH4 to H2O, distance", partial(_approach, candidate)
    yield "CH4, symmetry", partial(_symmetry, candidate)


def _diatomic(candidate: Candidate, name: str) -> Record:
    atoms = molecule(name)
    axis = np.array([0.0, 0.0, 1.0])
    atoms.positions = [[0, 0, 0], [0, 0, 1]]
    return scan(candidate, atoms, [1], axis, np.linspace(0.4, 6.0, POINTS) - 1.0)


def _stretch(candidate: Candidate, one: Molecule) -> Record:
    """Scan of the first bond that a group hangs on, as a rigid group."""
    found = cuttable(one.atoms)
    if not found:
        return {"kind": "left out"}
    (rest, root), group = found[0]
    axis = one.atoms.positions[root] - one.atoms.positions[rest]
    length = float(np.linalg.norm(axis))
    shifts = np.linspace(0.65 * length, 2.5 * length, POINTS) - length
    return scan(candidate, one.atoms, group, axis / length, shifts)


def _approach(candidate: Candidate) -> Record:
    """Scan of two molecules that part, across any cutoff."""
    first, second = molecule("CH4"), molecule("H2O")
    second.translate([0, 0, 6.0])
    atoms = first + second
    group = list(range(len(first), len(atoms)))
    axis = np.array([0.0, 0.0, 1.0])
    return scan(candidate, atoms, group, axis, np.linspace(-4.0, 16.0, POINTS))


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
        "eV/Å, above 1 eV/Å relative). Methane, displaced and relaxed, should have "
        "equal bonds and angles."
    ),
    cases=_cases,
    rows=_rows,
    better={
        "one well (%)": "high",
        "repulsive close in (%)": "high",
        "force against slope, worst": "low",
        "C-H bonds differ by (Å)": "low",
        "angles differ by (°)": "low",
    },
)
