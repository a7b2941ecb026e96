"""Suite of torsions: energies along turns about single bonds, against coupled clusters.

References are W1-F12 and W2-F12 energies of BHROT27, of GMTKN55 (Goerigk et al. 2017).
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase.constraints import FixInternals
from rdkit import Chem

from ase_physml.errors import PhysMLError
from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good
from ase_physml.evaluation.suites.conformers import (
    FMAX,
    KCAL,
    STEPS,
    conformer,
)

_LIST = Path(__file__).parents[1] / "torsions.yaml"


def _listed() -> list[dict[str, Any]]:
    entries = yaml.safe_load(_LIST.read_text())
    for entry in entries:
        entry["turns"] = [tuple(map(int, t.split("-"))) for t in entry["turns"]]
    return list(entries)


def _cases(candidate: Candidate) -> Iterator[Case]:
    for entry in _listed():
        atoms = Chem.AddHs(Chem.MolFromSmiles(entry["smiles"])).GetAtoms()
        if candidate.knows(atom.GetAtomicNum() for atom in atoms):
            yield entry["name"], partial(_measure, candidate, entry)


def _measure(candidate: Candidate, entry: Mapping[str, Any]) -> Record:
    energies = [
        _energy(candidate, entry, point["at"], held=k > 0)
        for k, point in enumerate(entry["points"])
    ]
    return {
        "angles": [point["at"][0] for point in entry["points"]],
        "found": [(energy - energies[0]) / KCAL for energy in energies],
        "label": [point["energy"] for point in entry["points"]],
    }


def _energy(
    candidate: Candidate, entry: Mapping[str, Any], angles: list[float], held: bool
) -> float:
    """Energy of the relaxed structure, with these dihedral angles held or free, eV."""
    dihedrals = dict(zip(entry["turns"], angles, strict=True))
    start = conformer(entry["smiles"], dihedrals)
    if held:
        kept = [[angle % 360.0, list(four)] for four, angle in dihedrals.items()]
        start.set_constraint(FixInternals(dihedrals_deg=kept))
    found = candidate.relax(start, FMAX, STEPS)
    if not found.converged:
        raise PhysMLError(f"not relaxed at {angles[0]}° after {found.steps} steps")
    return found.energies[-1]


def _rows(records: Records) -> dict[str, Row]:
    some = list(good(records).values())
    if not some:
        return {}
    # The minimum is the zero of both.
    off = np.concatenate([np.subtract(r["found"], r["label"])[1:] for r in some])
    label = np.concatenate([r["label"][1:] for r in some])
    turned = [np.argmax(r["found"]) == np.argmax(r["label"]) for r in some]
    return {
        "torsions": {
            "molecules": len(some),
            "energies": len(off),
            "mean error (kcal/mol)": float(np.abs(off).mean()),
            "largest error (kcal/mol)": float(np.abs(off).max()),
            "too high by, mean (kcal/mol)": float(off.mean()),
            "mean to be found (kcal/mol)": float(label.mean()),
            "top where it should be (%)": 100.0 * float(np.mean(turned)),
        }
    }


TORSIONS = Suite(
    name="torsions",
    title="Torsions",
    about=(
        "Barriers and second minima of turns about single bonds, each relaxed to 0.005 "
        "eV/Å with its dihedral angles held, above the minimum, against coupled "
        "clusters (W1-F12 and W2-F12 energies of BHROT27). Between conjugated parts "
        "the barrier says what the conjugation is worth."
    ),
    cases=_cases,
    rows=_rows,
    better={
        "mean error (kcal/mol)": "low",
        "largest error (kcal/mol)": "low",
        "top where it should be (%)": "high",
    },
)
