"""Suite of broken molecules: do groups that were pulled off come together again?"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from ase import Atoms

from ase_physml.chem.bonds import bonded_pairs, perceive_bonds
from ase_physml.data.frame import Frame
from ase_physml.evaluation.candidate import Candidate, Molecule
from ase_physml.evaluation.suite import Case, Record, Records, Row, Suite, good
from ase_physml.workflows.alignment import rmsd

if TYPE_CHECKING:
    from rdkit.Chem import Mol

PULLED = 0.7  # Å
CONE = 20.0  # degrees
STEPS = 500
SAME = 0.1  # Å
LARGEST = 6  # heavy atoms of a group


def _cases(candidate: Candidate) -> Iterator[Case]:
    for count in (1, 2):
        for molecule in candidate.molecules:
            key = f"{molecule.name}, {count} {'group' if count == 1 else 'groups'}"
            yield key, partial(_measure, candidate, molecule, count)


def _measure(candidate: Candidate, molecule: Molecule, count: int) -> Record:
    minimum = candidate.own_minimum(molecule).atoms
    random = candidate.random("assembly", molecule.name, count)
    groups = cuttable(molecule.atoms)
    chosen = _disjoint(groups, count, random)
    if len(chosen) < count:
        return {"groups": count, "left out": True}
    broken = minimum.copy()
    for axis, atoms in chosen:
        broken.positions[atoms] += PULLED * _outward(minimum, axis, random)
    found = candidate.relax(broken, steps=STEPS)
    away = rmsd(found.atoms.positions, minimum.positions)
    # Those of the molecule: a minimum without them is one of something else.
    same = bonded_pairs(found.atoms) == bonded_pairs(molecule.atoms)
    return {
        "groups": count,
        "bonds": same,
        "rmsd": away,
        "success": same and away < SAME,
        "steps": found.steps,
        "converged": found.converged,
        "numbers": minimum.numbers.tolist(),
        "before": broken.positions.round(4).tolist(),
        "after": found.atoms.positions.round(4).tolist(),
    }


Group = tuple[tuple[int, int], list[int]]


def cuttable(atoms: Atoms) -> list[Group]:
    """Functional groups: parts that hang on a single bond between heavy atoms, no ring.

    Args:
        atoms: Molecule at or near its minimum.

    Returns:
        For each group its bond (atom of the rest, atom of the group) and its atoms.

    Raises:
        DataError: No bonds explain the structure.
    """
    mol = perceive_bonds(Frame(atoms.numbers, atoms.positions))
    groups: list[Group] = []
    for bond in mol.GetBonds():
        first, last = bond.GetBeginAtom(), bond.GetEndAtom()
        single = bond.GetBondTypeAsDouble() == 1.0 and not bond.IsInRing()
        if not single or 1 in (first.GetAtomicNum(), last.GetAtomicNum()):
            continue
        pair = (first.GetIdx(), last.GetIdx())
        for rest, root in (pair, pair[::-1]):
            side = _side(mol, rest, root)
            heavy = sum(mol.GetAtomWithIdx(i).GetAtomicNum() > 1 for i in side)
            if heavy <= LARGEST and 2 * len(side) <= len(atoms):
                groups.append(((rest, root), side))
    return groups


def _side(mol: "Mol", rest: int, root: int) -> list[int]:
    """Atoms that hang on root when its bond to rest is cut."""
    seen, stack = {rest, root}, [root]
    while stack:
        for neighbour in mol.GetAtomWithIdx(stack.pop()).GetNeighbors():
            if neighbour.GetIdx() not in seen:
                seen.add(neighbour.GetIdx())
                stack.append(neighbour.GetIdx())
    return sorted(seen - {rest})


def _disjoint(
    groups: list[Group], count: int, random: np.random.Generator
) -> list[Group]:
    chosen: list[Group] = []
    for i in random.permutation(len(groups)):
        taken = {atom for _, atoms in chosen for atom in atoms}
        if not taken.intersection(groups[i][1]):
            chosen.append(groups[i])
        if len(chosen) == count:
            break
    return chosen


def _outward(
    atoms: Atoms, bond: tuple[int, int], random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Direction along a bond, (3,), tilted at random by up to the cone's angle."""
    axis = atoms.positions[bond[1]] - atoms.positions[bond[0]]
    axis /= np.linalg.norm(axis)
    aside = np.cross(axis, random.normal(size=3))
    aside /= np.linalg.norm(aside)
    angle = np.radians(CONE) * random.random()
    direction: npt.NDArray[np.float64] = np.cos(angle) * axis + np.sin(angle) * aside
    return direction


def _rows(records: Records) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for count in (1, 2):
        some = [
            r
            for r in good(records).values()
            if r["groups"] == count and "left out" not in r
        ]
        if some:
            rows["one group" if count == 1 else "two groups"] = {
                "molecules": len(some),
                "assembled (%)": 100.0 * float(np.mean([r["success"] for r in some])),
                "bonds right (%)": 100.0 * float(np.mean([r["bonds"] for r in some])),
                "RMSD median (Å)": float(np.median([r["rmsd"] for r in some])),
                "steps, median": float(np.median([r["steps"] for r in some])),
            }
    return rows


ASSEMBLY = Suite(
    name="assembly",
    title="Assembly",
    about=(
        "One or two functional groups are pulled off the potential's own minimum of a "
        "molecule, 0.7 Å outward along the bond they hang on (tilted by up to 20°), "
        "and the pieces relaxed in at most 500 steps. The molecule is assembled if it "
        "has the bonds it should have and lies within 0.1 Å (root mean square) of the "
        "minimum."
    ),
    cases=_cases,
    rows=_rows,
    better={
        "assembled (%)": "high",
        "bonds right (%)": "high",
        "RMSD median (Å)": "low",
    },
)
