"""Suite of reactions: energies and forces along known ones, are barriers right?"""

from collections.abc import Iterator
from functools import partial

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.groups import Reaction, reactions
from ase_physml.errors import DataError
from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good
from ase_physml.workflows.alignment import align_ends, shifts

BETWEEN = (0.25, 0.5, 0.75)  # of the way between two known structures


def chosen(candidate: Candidate) -> list[Reaction]:
    """Reactions of the candidate's set whose saddle is known, `count` at most."""
    found = [
        r for r in reactions(RaggedSet(candidate.reactions)) if r.saddle is not None
    ]
    random = candidate.random("reaction")
    count = min(candidate.count, len(found))
    return [found[k] for k in sorted(random.choice(len(found), count, replace=False))]


def _cases(candidate: Candidate) -> Iterator[Case]:
    for one in chosen(candidate):
        yield one.name, partial(_measure, candidate, one)


def _measure(candidate: Candidate, reaction: Reaction) -> Record:
    assert reaction.saddle is not None
    known = [reaction.reactant, reaction.saddle, reaction.product]
    path = [to_atoms(frame, labels=False) for frame in known]
    found = [_energy_and_force(candidate.calculator, atoms) for atoms in path]
    energies = [energy - found[0][0] for energy, _ in found]
    labels = labels_of(candidate, reaction, path)
    record: Record = {
        "barrier": energies[1],
        "energy": energies[2],
        "barrier_label": labels[1] - labels[0],
        "energy_label": labels[2] - labels[0],
        "saddle_force": found[1][1],
    }
    if candidate.reference is not None:
        between = _interpolated(path)
        for key, calculator in (
            ("profile", candidate.calculator),
            ("profile_label", candidate.reference),
        ):
            along = [_energy_and_force(calculator, atoms)[0] for atoms in between]
            record[key] = [energy - along[0] for energy in along]
    return record


def labels_of(
    candidate: Candidate, reaction: Reaction, path: list[Atoms]
) -> list[float]:
    """Energies of reactant, saddle and product that the calculator is held to, eV.

    Args:
        candidate: Calculator under test, and its reference if it has one.
        reaction: Reaction with its saddle.
        path: Its three structures.

    Raises:
        DataError: The set has no energies, and there is no reference.
    """
    if candidate.reference is not None:
        return [_energy_and_force(candidate.reference, atoms)[0] for atoms in path]
    frames: list[Frame | None] = [reaction.reactant, reaction.saddle, reaction.product]
    energies = [f.energy for f in frames if f is not None and f.energy is not None]
    if len(energies) < len(frames):
        raise DataError(f"{reaction.name} has no energies; give --reference")
    return energies


def _energy_and_force(calculator: Calculator, atoms: Atoms) -> tuple[float, float]:
    copy = atoms.copy()
    copy.calc = calculator
    forces = np.linalg.norm(copy.get_forces(), axis=1)
    return float(copy.get_potential_energy()), float(forces.max())


def _interpolated(known: list[Atoms]) -> list[Atoms]:
    """Structures on straight lines through reactant, saddle and product."""
    path = [known[0].copy()]
    for end in known[1:]:
        start = path[-1]
        shift = shifts(start, align_ends(start, end))
        for share in (*BETWEEN, 1.0):
            atoms = start.copy()
            atoms.positions = start.positions + share * shift
            path.append(atoms)
    return path


def _rows(records: Records) -> dict[str, Row]:
    some = list(good(records).values())
    if not some:
        return {}

    def error(key: str) -> float:
        return float(np.mean([abs(r[key] - r[f"{key}_label"]) for r in some]))

    row: Row = {
        "reactions": len(some),
        "barrier MAE (eV)": error("barrier"),
        "reaction energy MAE (eV)": error("energy"),
        "force at the saddle, median (eV/Å)": float(
            np.median([r["saddle_force"] for r in some])
        ),
    }
    profiles = [r for r in some if "profile" in r]
    if profiles:
        off = [np.subtract(r["profile"], r["profile_label"]) for r in profiles]
        row["profile MAE (eV)"] = float(np.abs(np.concatenate(off)).mean())
    return {"reactions": row}


REACTION = Suite(
    name="reaction",
    title="Reactions",
    about=(
        "Energies of reactant, transition state and product where another method found "
        "them, against the labels of the set or a reference calculator: barrier, "
        "reaction energy and, with a reference, the profile along straight lines "
        "through the three. The force at the saddle would be zero for the method that "
        "found it."
    ),
    cases=_cases,
    rows=_rows,
    better={
        "barrier MAE (eV)": "low",
        "reaction energy MAE (eV)": "low",
        "force at the saddle, median (eV/Å)": "low",
        "profile MAE (eV)": "low",
    },
)
