"""Suite of harmonic frequencies of small molecules, against measured ones."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from ase.build import molecule

from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good
from ase_physml.workflows.vibrations.normal_modes import vibrations_many

# Harmonic wave numbers, cm-1, rounded, from analyses of measured spectra; others differ
# by some cm-1. H2O: Benedict, Gailar, Plyler, J. Chem. Phys. 24, 1139 (1956); NH3:
# Duncan, Mills, Spectrochim. Acta 20, 523 (1964); CH4: Gray, Robiette, Mol. Phys. 37,
# 1901 (1979); CO2: Chedin, J. Mol. Spectrosc. 76, 430 (1979); HCN: Strey, Mills, Mol.
# Phys. 26, 129 (1973); C2H2: Strey, Mills, J. Mol. Spectrosc. 59, 103 (1976).
REFERENCE: dict[str, tuple[float, ...]] = {
    "H2O": (1648.0, 3832.0, 3943.0),
    "NH3": (1022.0, 1691.0, 1691.0, 3506.0, 3577.0, 3577.0),
    "CH4": (1367.0,) * 3 + (1583.0,) * 2 + (3026.0,) + (3157.0,) * 3,
    "CO2": (673.0, 673.0, 1354.0, 2397.0),
    "HCN": (727.0, 727.0, 2129.0, 3442.0),
    "C2H2": (624.0, 624.0, 747.0, 747.0, 2011.0, 3415.0, 3497.0),
}


def _cases(candidate: Candidate) -> Iterator[Case]:
    for name in REFERENCE:
        yield name, partial(_measure, candidate, name)


def _measure(candidate: Candidate, name: str) -> Record:
    atoms = candidate.relax(molecule(name), fmax=0.002).atoms
    (found,) = vibrations_many([atoms], candidate.calculator)
    if isinstance(found, Exception):
        raise found
    return {"found": found.frequencies.tolist(), "label": list(REFERENCE[name])}


def _rows(records: Records) -> dict[str, Row]:
    some = list(good(records).values())
    if not some:
        return {}
    found, label = (
        np.concatenate([r[key] for r in some]) for key in ("found", "label")
    )
    off = np.abs(found - label) / label
    return {
        "small molecules": {
            "molecules": len(some),
            "modes": len(label),
            "mean error (%)": 100.0 * float(off.mean()),
            "largest error (%)": 100.0 * float(off.max()),
            "imaginary modes": int((found < 0.0).sum()),
        }
    }


VIBRATIONS = Suite(
    name="vibrations",
    title="Vibrations",
    about=(
        "Small molecules are relaxed to 0.002 eV/Å; harmonic frequencies, from "
        "differences of forces, against those behind measured spectra, mode by mode in "
        "ascending order. Common DFT is within 3 % in the mean."
    ),
    cases=_cases,
    rows=_rows,
    better={"mean error (%)": "low", "largest error (%)": "low"},
)
