"""Suite of relaxations: do they come back to a minimum from displacements?"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from ase_physml.evaluation.candidate import Candidate, Molecule
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good
from ase_physml.workflows.alignment import mean_displacement

DEVIATIONS = (0.0, 0.05, 0.1, 0.2, 0.5)  # Å
RECOVERED = 0.1  # Å


def _cases(candidate: Candidate) -> Iterator[Case]:
    for deviation in DEVIATIONS:
        for molecule in candidate.molecules:
            key = f"{molecule.name} from {deviation:g} Å"
            yield key, partial(_measure, candidate, molecule, deviation)


def _measure(candidate: Candidate, molecule: Molecule, deviation: float) -> Record:
    own = candidate.own_minimum(molecule)
    # Without a displacement, the structure it started from is what it is held to.
    given = molecule.minimum or not deviation
    truth = (molecule.atoms if given else own.atoms).positions
    found = own
    if deviation:
        start = own.atoms.copy()
        noise = candidate.random("structure", molecule.name, deviation)
        start.positions = truth + deviation * noise.normal(size=truth.shape)
        found = candidate.relax(start)
    # Not displaced, it is what the given structure has too much (the paper's ΔE_g).
    energy = found.energies[-1 if deviation else 0]
    return {
        "deviation": deviation,
        "atoms": len(truth),
        "moved": mean_displacement(found.atoms.positions, truth),
        "above": energy - own.energies[-1],
        "converged": found.converged,
        "steps": found.steps,
    }


def _rows(records: Records) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for deviation in DEVIATIONS:
        some = [r for r in good(records).values() if r["deviation"] == deviation]
        if not some:
            continue
        moved = np.array([r["moved"] for r in some])
        above = np.abs([r["above"] for r in some])
        rows["no displacement" if not deviation else f"{deviation:g} Å"] = {
            "molecules": len(some),
            "ΔP mean (Å)": float(moved.mean()),
            "ΔP median (Å)": float(np.median(moved)),
            "within 0.1 Å (%)": 100.0 * float((moved < RECOVERED).mean()),
            "|ΔE| median (meV)": 1000.0 * float(np.median(above)),
            "converged (%)": 100.0 * float(np.mean([r["converged"] for r in some])),
        }
    return rows


STRUCTURE = Suite(
    name="structure",
    title="Structures",
    about=(
        "Every atom of a minimum is displaced by Gaussian noise, and BFGS relaxes the "
        "molecule to 0.01 eV/Å in at most 500 steps. ΔP is the mean distance of atoms "
        "from where they came, after the best rotation; ΔE the energy above the "
        "potential's own minimum. Without displacement ΔP is how far that minimum lies "
        "from the structure given, and ΔE how much higher the latter is."
    ),
    cases=_cases,
    rows=_rows,
    better={
        "ΔP mean (Å)": "low",
        "ΔP median (Å)": "low",
        "within 0.1 Å (%)": "high",
        "|ΔE| median (meV)": "low",
        "converged (%)": "high",
    },
)
