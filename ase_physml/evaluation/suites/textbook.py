"""Suite of textbook structures: bond lengths, angles and flat molecules.

References are the MP2(full)/6-31G(d) geometries of the G2 set (Curtiss et al. 1997),
which come with ASE: within 0.01 Å and 1° of experiment but for a few.
"""

from collections.abc import Iterator
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import molecule

from ase_physml.chem.bonds import bonded_pairs
from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good

# Closed shells of organic elements, without bare halogens, sulfur dioxide and ozone.
_NAMES = """
H2O NH3 CH4 HCN CO2 H2CO C2H2 C2H4 C2H6 H2O2 N2H4 CH3OH H3CNH2 CH3CN CH3CHO HCOOH
C6H6 C5H5N C4H4NH C4H4O CH3NO2 CH3CH2OH CH3OCH3 CH3CH2NH2 C2H6NH CH3COCH3 CH3COOH
HCOOCH3 CH3CONH2 OCHCHO H2CCO H2CCHCN butadiene 2-butyne isobutene C3H6_Cs C3H6_D3h
C3H4_C2v C3H4_D2d cyclobutene C2H6CHOH C3H9N CH2OCH2 CH2NHCH2 C3H8 trans-butane
C4H4S CH3SH CH3SCH3 SH2 PH3 CH3Cl CH3CH2Cl H2CCHCl H2CCHF H2CF2 CH3COCl CH3COF
"""
NAMES = tuple(_NAMES.split())
RATTLE = 0.02  # Å
FLAT, LENGTH, ANGLE = 0.02, 0.02, 2.0  # Å, Å, degrees
FMAX, STEPS = 0.002, 1000


class Shape(NamedTuple):
    """Inner coordinates of a molecule, by the bonds of its reference.

    Attributes:
        lengths: Of the bonds, Å.
        angles: Of two bonds at an atom, degrees.
        height: Largest distance of a heavy atom from their plane, Å.
    """

    lengths: np.ndarray
    angles: np.ndarray
    height: float


def shape_of(atoms: Atoms, bonds: list[tuple[int, int]]) -> Shape:
    """Inner coordinates of a structure.

    Args:
        atoms: Structure.
        bonds: Pairs of atoms.
    """
    ends: dict[int, list[int]] = {i: [] for i in range(len(atoms))}
    for i, j in bonds:
        ends[i].append(j)
        ends[j].append(i)
    triples = [(a, i, b) for i in ends for a, b in combinations(ends[i], 2)]
    heavy = atoms.positions[atoms.numbers > 1]
    height = 0.0
    if len(heavy) > 3:
        centred = heavy - heavy.mean(0)
        height = float(np.abs(centred @ np.linalg.svd(centred)[2][2]).max())
    return Shape(
        np.array([atoms.get_distance(i, j) for i, j in bonds]),
        np.array([atoms.get_angle(*one) for one in triples]),
        height,
    )


def _cases(candidate: Candidate) -> Iterator[Case]:
    for name in NAMES:
        if candidate.knows(molecule(name).numbers):
            yield name, partial(_measure, candidate, name)


def _measure(candidate: Candidate, name: str) -> Record:
    reference = molecule(name)
    bonds = sorted(bonded_pairs(reference))
    start = reference.copy()
    noise = candidate.random("textbook", name).normal(size=start.positions.shape)
    start.positions += RATTLE * noise
    found = candidate.relax(start, FMAX, STEPS)
    true, own = shape_of(reference, bonds), shape_of(found.atoms, bonds)
    lengths = np.abs(own.lengths - true.lengths)
    angles = np.abs(own.angles - true.angles)
    flat = len(reference) > 3 and true.height < 1e-3
    return {
        "length": float(lengths.max()),
        "angle": float(angles.max(initial=0.0)),
        "lengths": lengths.tolist(),
        "angles": angles.tolist(),
        **({"height": own.height} if flat else {}),
        "converged": found.converged,
    }


def right(record: Record) -> bool:
    """True if all bonds, angles and planes of a molecule are within the limits."""
    return _badness(record) < 1.0


def _rows(records: Records) -> dict[str, Row]:
    some = list(good(records).values())
    if not some:
        return {}
    lengths = np.concatenate([r["lengths"] for r in some])
    angles = np.concatenate([r["angles"] for r in some])
    heights = np.array([r["height"] for r in some if "height" in r])
    wrong = {k: r for k, r in good(records).items() if not right(r)}
    worst = sorted(wrong, key=lambda k: -_badness(wrong[k]))
    row: Row = {
        "molecules": len(some),
        "all within limits (%)": 100.0 * (1.0 - len(wrong) / len(some)),
        "bonds within 0.02 Å (%)": 100.0 * float((lengths < LENGTH).mean()),
        "bonds, mean error (Å)": float(lengths.mean()),
        "angles within 2° (%)": 100.0 * float((angles < ANGLE).mean()),
        "angles, mean error (°)": float(angles.mean()),
        "worst": ", ".join(worst[:3]),
    }
    if len(heights):
        row["flat within 0.02 Å (%)"] = 100.0 * float((heights < FLAT).mean())
    return {"textbook": row}


def _badness(record: Record) -> float:
    """Largest error in units of its limit."""
    limits = {"length": LENGTH, "angle": ANGLE, "height": FLAT}
    return max(float(record.get(k, 0.0)) / limit for k, limit in limits.items())


TEXTBOOK = Suite(
    name="textbook",
    title="Textbook structures",
    about=(
        "Small molecules whose structures everybody knows (of the G2 set, "
        "MP2(full)/6-31G(d)) are rattled by 0.02 Å and relaxed by BFGS to 0.002 eV/Å. "
        "Limits: every bond within 0.02 Å, every angle within 2°, what is flat flat "
        "within 0.02 Å. Methods differ among each other by about half of that."
    ),
    cases=_cases,
    rows=_rows,
    better={
        "all within limits (%)": "high",
        "bonds within 0.02 Å (%)": "high",
        "bonds, mean error (Å)": "low",
        "angles within 2° (%)": "high",
        "angles, mean error (°)": "low",
        "flat within 0.02 Å (%)": "high",
    },
)
