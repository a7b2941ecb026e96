"""Suite of pairs of molecules far apart: is the energy the sum of theirs?"""

from collections.abc import Iterator
from functools import partial

import numpy as np
from ase import Atoms

from ase_physml.evaluation.candidate import Candidate, Molecule
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good

APART = (8.0, 12.0, 20.0, 30.0)  # Å, between the nearest atoms
_PAIRS = 6


def _cases(candidate: Candidate) -> Iterator[Case]:
    molecules = candidate.molecules
    for first, other in zip(molecules, molecules[1:] + molecules[:1], strict=True):
        if len(molecules) > _PAIRS and molecules.index(first) >= _PAIRS:
            return
        key = f"{first.name} and {other.name}"
        yield key, partial(_measure, candidate, first, other)


def _measure(candidate: Candidate, first: Molecule, other: Molecule) -> Record:
    alone = sum(_energy(candidate, one.atoms) for one in (first, other))
    energies = [
        _energy(candidate, _beside(first.atoms, other.atoms, gap)) for gap in APART
    ]
    return {"apart": list(APART), "left": [energy - alone for energy in energies]}


def _beside(first: Atoms, other: Atoms, gap: float) -> Atoms:
    """Both along x, their extents so far apart."""
    moved = other.copy()
    moved.positions[:, 0] += first.positions[:, 0].max() + gap
    moved.positions[:, 0] -= other.positions[:, 0].min()
    both: Atoms = first + moved
    return both


def _energy(candidate: Candidate, atoms: Atoms) -> float:
    return float(candidate.calculator.get_property("energy", atoms))


def _rows(records: Records) -> dict[str, Row]:
    some = list(good(records).values())
    if not some:
        return {}
    left = 1000.0 * np.abs([record["left"] for record in some])
    return {
        f"{gap:g} Å apart": {
            "pairs": len(some),
            "worst |ΔE| (meV)": float(left[:, k].max()),
            "mean |ΔE| (meV)": float(left[:, k].mean()),
        }
        for k, gap in enumerate(APART)
    }


EXTENSIVITY = Suite(
    name="extensivity",
    title="Two molecules apart",
    about=(
        "Energies of pairs of molecules side by side, less those of each alone. Far "
        "apart nothing must be left; at 8 Å and more neutral molecules attract each "
        "other by some meV."
    ),
    cases=_cases,
    rows=_rows,
    better={"worst |ΔE| (meV)": "low", "mean |ΔE| (meV)": "low"},
)
