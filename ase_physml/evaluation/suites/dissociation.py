"""Suite of dissociation: bonds pulled until they are broken, and what is left then.

References are energies of atomization of experiment, without zero-point energies, of
the data of the G2/97 set (Curtiss et al. 1997) that come with ASE.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from ase.build import molecule
from ase.data import g2

from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good, share
from ase_physml.evaluation.suites.conformers import KCAL
from ase_physml.evaluation.suites.scans import scan

DIATOMICS = ("H2", "N2", "CO", "HF", "F2", "HCl", "Cl2")
# Molecule to the atoms of a bond and those that go with the second.
BONDS: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "CH4": (0, 1, (1,)),
    "H2O": (0, 1, (1,)),
    "NH3": (0, 1, (1,)),
    "HCN": (0, 2, (2,)),
    "C2H6": (0, 1, (1, 5, 6, 7)),
    "CH3OH": (0, 1, (1, 3)),
    "H3CNH2": (0, 1, (1, 3, 4)),
}
NEAREST, FARTHEST, POINTS = 0.6, 8.0, 121  # of the length, and Å beyond it
FLAT = 0.05  # eV, between the last Å and the end


def atomization(name: str) -> float:
    """Energy of atomization of a molecule of G2/97 without zero-point energy, eV."""
    data: dict[str, Any] = g2.data
    about = data[name]
    atoms = (data[atom.symbol] for atom in molecule(name))
    parts = sum(a["enthalpy"] - a["thermal correction"] for a in atoms)
    whole = about["enthalpy"] - about["thermal correction"]
    return float(parts - whole + about["ZPE"]) * float(KCAL)


def _cases(candidate: Candidate) -> Iterator[Case]:
    for name in DIATOMICS:
        if candidate.knows(molecule(name).numbers):
            yield name, partial(_measure, candidate, name, (0, 1, (1,)))
    for name, bond in BONDS.items():
        if candidate.knows(molecule(name).numbers):
            yield f"{name}, a bond", partial(_measure, candidate, name, bond)


def _measure(
    candidate: Candidate, name: str, bond: tuple[int, int, tuple[int, ...]]
) -> Record:
    first, last, group = bond
    atoms = molecule(name)
    axis = atoms.positions[last] - atoms.positions[first]
    length = float(np.linalg.norm(axis))
    shifts = np.linspace((NEAREST - 1.0) * length, FARTHEST, POINTS)
    record = scan(candidate, atoms, list(group), axis / length, shifts)
    energies, there = np.array(record["energies"]), np.array(record["shifts"])
    beyond = energies[there >= FARTHEST - 1.0]
    record["depth"] = float(energies[-1])
    record["flat"] = bool(len(beyond) and np.ptp(beyond) <= FLAT)
    if name in DIATOMICS:
        record["label"] = atomization(name)
    return record


def _rows(records: Records) -> dict[str, Row]:
    some = list(good(records).values())
    if not some:
        return {}
    rows: dict[str, Row] = {
        "curves": {
            "cases": len(some),
            "computed throughout (%)": share([r["missing"] == 0 for r in some]),
            "one well (%)": share([r["wells"] == 1 for r in some]),
            "repulsive close in (%)": share([r["repulsive"] for r in some]),
            "bound (%)": share([r["depth"] > 1.0 for r in some]),
            "flat at the end (%)": share([r["flat"] for r in some]),
        }
    }
    known = [r for r in some if "label" in r and r["missing"] == 0]
    if known:
        off = [abs(r["depth"] / r["label"] - 1.0) for r in known]
        rows["diatomics"] = {
            "cases": len(known),
            "depth, mean error (%)": 100.0 * float(np.mean(off)),
        }
    return rows


DISSOCIATION = Suite(
    name="dissociation",
    title="Dissociation",
    about=(
        "A bond is pulled by 8 Å, the rest of both sides as it was. The curve should "
        "have one well and be repulsive close in; the bond should cost at least 1 eV, "
        "and the last Å no more than 0.05 eV. The depth of diatomic molecules against "
        "energies of atomization from experiment. Methods with closed shells need not "
        "come apart into the right atoms, and potentials have seldom learned them."
    ),
    cases=_cases,
    rows=_rows,
    better={
        "computed throughout (%)": "high",
        "one well (%)": "high",
        "repulsive close in (%)": "high",
        "bound (%)": "high",
        "flat at the end (%)": "high",
        "depth, mean error (%)": "low",
    },
)
