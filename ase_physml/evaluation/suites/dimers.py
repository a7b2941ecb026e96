"""Suite of dimers: how strongly do two molecules attract each other?

References are CCSD(T) energies at the limit of basis sets of S22 (Jurečka et al. 2006)
and of S22x5, the same dimers pulled apart (Gráfová et al. 2010), which come with ASE.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
from ase import Atoms
from ase.data.s22 import (
    create_s22_system,
    get_interaction_energy_s22x5,
    get_number_of_dimer_atoms,
    s22,
)

from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good
from ase_physml.evaluation.suites.conformers import KCAL

# Of the distance at equilibrium; nearer than that and farther are in the set too.
DISTANCES = ("1.0", "1.5")


def _cases(candidate: Candidate) -> Iterator[Case]:
    for distance in DISTANCES:
        for name in s22:
            if not candidate.knows(create_s22_system(name).numbers):
                continue
            shown = name.replace("_", " ")
            yield f"{shown} x {distance}", partial(_measure, candidate, name, distance)


def _measure(candidate: Candidate, name: str, distance: str) -> Record:
    both = create_s22_system(name, distance)
    first = int(get_number_of_dimer_atoms(name)[0])
    whole, one, other = (
        _energy(candidate, atoms) for atoms in (both, both[:first], both[first:])
    )
    return {
        "distance": distance,
        "energy": (whole - one - other) / KCAL,
        "label": float(get_interaction_energy_s22x5(name, distance)) / KCAL,
    }


def _energy(candidate: Candidate, atoms: Atoms) -> float:
    return float(candidate.calculator.get_property("energy", atoms))


def _rows(records: Records) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for distance in DISTANCES:
        some = [r for r in good(records).values() if r["distance"] == distance]
        if not some:
            continue
        found, label = (np.array([r[key] for r in some]) for key in ("energy", "label"))
        off = np.abs(found - label)
        rows["at equilibrium" if distance == "1.0" else f"{distance} times apart"] = {
            "dimers": len(some),
            "mean error (kcal/mol)": float(off.mean()),
            "largest error (kcal/mol)": float(off.max()),
            "of what is to be found (%)": 100.0
            * float(off.sum() / np.abs(label).sum()),
            "attracted (%)": 100.0 * float((found < 0.0).mean()),
        }
    return rows


DIMERS = Suite(
    name="dimers",
    title="Dimers",
    about=(
        "Energy of two molecules less those of each alone, all in the structure of the "
        "dimer, against CCSD(T): the S22 set (hydrogen bonds, dispersion, both), at "
        "equilibrium and at one and a half times that distance. All of them attract "
        "each other. Of what is to be found: 100 % is as good as no attraction at all."
    ),
    cases=_cases,
    rows=_rows,
    better={
        "mean error (kcal/mol)": "low",
        "largest error (kcal/mol)": "low",
        "of what is to be found (%)": "low",
        "attracted (%)": "high",
    },
)
