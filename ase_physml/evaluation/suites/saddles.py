"""Suite of saddles: are they found from near by, and do they join what they should?"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from ase_physml.data.conversion import to_atoms
from ase_physml.data.groups import Reaction
from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good, share
from ase_physml.evaluation.suites.barriers import chosen, labels_of
from ase_physml.workflows.alignment import rmsd
from ase_physml.workflows.saddles.search import Guess, find_saddles

DISPLACED = 0.05  # Å, deviation of a Gaussian
FMAX, STEPS = 0.02, 1000  # of the ends
NEAR = 0.3  # Å
IMAGINARY = 50.0  # cm-1


def _cases(candidate: Candidate) -> Iterator[Case]:
    for one in chosen(candidate):
        if candidate.knows(one.reactant.numbers):
            yield one.name, partial(_measure, candidate, one)


def _measure(candidate: Candidate, reaction: Reaction) -> Record:
    assert reaction.saddle is not None
    frames = (reaction.reactant, reaction.saddle, reaction.product)
    known = [to_atoms(frame, labels=False) for frame in frames]
    labels = labels_of(candidate, reaction, known)
    own = [candidate.relax(known[k], FMAX, STEPS).atoms for k in (0, 2)]
    start = known[1].copy()
    noise = candidate.random("saddles", reaction.name)
    start.positions += DISPLACED * noise.normal(size=start.positions.shape)
    guess = Guess(start, ends=(own[0], own[1]))
    (found,) = find_saddles(guess, candidate.calculator)
    if isinstance(found, Exception):
        raise found
    record: Record = {
        "grade": found.certificate.grade,
        "reason": found.certificate.reason,
        "imaginary": int((found.vibrations.frequencies < -IMAGINARY).sum()),
        "away": rmsd(found.atoms.positions, known[1].positions),
        "evaluations": found.evaluations,
    }
    if found.barriers is not None:
        record["barrier"] = found.barriers[0]
        record["label"] = labels[1] - labels[0]
    return record


def _rows(records: Records) -> dict[str, Row]:
    some = list(good(records).values())
    if not some:
        return {}
    row: Row = {
        "reactions": len(some),
        "one imaginary mode (%)": share([r["imaginary"] == 1 for r in some]),
        "near the known one (%)": share([r["away"] < NEAR for r in some]),
        "joins its ends (%)": share([r["grade"] == "PASS" for r in some]),
        "evaluations, median": float(np.median([r["evaluations"] for r in some])),
    }
    if own := [r for r in some if "barrier" in r]:
        off = [abs(r["barrier"] - r["label"]) for r in own]
        row["barrier of those, MAE (eV)"] = float(np.mean(off))
    return {"saddles": row}


SADDLES = Suite(
    name="saddles",
    title="Saddles",
    about=(
        "Known transition states, every atom displaced by 0.05 Å (Gaussian): the "
        "potential's own saddle is searched from there by eigenvector following to "
        "0.01 eV/Å. It should have one imaginary mode, lie within 0.3 Å (root mean "
        "square) of the known one, and lead downhill to the potential's own minima of "
        "reactant and product. Those known come of GFN2-xTB, or of --reactions."
    ),
    cases=_cases,
    rows=_rows,
    better={
        "one imaginary mode (%)": "high",
        "near the known one (%)": "high",
        "joins its ends (%)": "high",
        "evaluations, median": "low",
        "barrier of those, MAE (eV)": "low",
    },
)
