"""What counts as one minimum, and what its name is."""

import numpy as np
import numpy.typing as npt
from ase import Atoms
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from ase_physml.chem.bonds import bonded_pairs, perceive_bonds
from ase_physml.data.conversion import Labels, from_atoms
from ase_physml.workflows.alignment import placement_of, rmsd, shifts, superpose

# Å; what has the same bonds and lies nearer is the same minimum.
_SAME = 0.3
# Å; of what cannot be turned, of the atom furthest off.
_SAME_PLACE = 0.5
_MAX_NAMED = 60


def has_bonds_of(atoms: Atoms, other: Atoms) -> bool:
    """Whether two structures have the same bonds; in cells, whether they are near."""
    if atoms.pbc.any():
        return is_same(atoms, other)
    return bonded_pairs(atoms) == bonded_pairs(other)


def is_same(atoms: Atoms, other: Atoms, turned: bool = False) -> bool:
    """Whether two minima of the same atoms are one.

    Args:
        atoms: One of them.
        other: The other.
        turned: Whether methyl groups may have turned by a third.
    """
    if not placement_of(atoms).aligned:
        return distance(atoms, other) < _SAME_PLACE
    same = bonded_pairs(atoms) == bonded_pairs(other)
    return same and distance(atoms, other, turned) < _SAME


def distance(atoms: Atoms, other: Atoms, turned: bool = False) -> float:
    """Distance of two structures: RMSD, or, of what may not be turned, the largest.

    Args:
        atoms: One of them.
        other: The other.
        turned: Whether methyl groups may have turned by a third.
    """
    if placement_of(atoms).aligned:
        there = _turned(other, atoms) if turned else other
        return rmsd(there.positions, atoms.positions)
    return float(np.linalg.norm(shifts(other, atoms), axis=1).max())


def _turned(atoms: Atoms, onto: Atoms) -> Atoms:
    """Copy of a molecule whose methyl groups are turned nearest to another's."""
    groups = _methyls(atoms)
    done: Atoms = atoms.copy()
    if not groups:
        return done
    ours = np.concatenate(groups)
    rest = np.setdiff1d(np.arange(len(atoms)), ours)
    some = rest if len(rest) > 2 else None
    done.positions = superpose(atoms.positions, onto.positions, some)
    for group in groups:
        # Cyclic: an exchange of two would be a mirror image.
        ways = [np.roll(group, shift) for shift in range(3)]
        goal = onto.positions[group]
        best = min(ways, key=lambda way: np.sum((done.positions[way] - goal) ** 2))
        done.positions[group] = done.positions[best]
    return done


def _methyls(atoms: Atoms) -> list[npt.NDArray[np.int64]]:
    """Indices of the hydrogens of each methyl group, (3,)."""
    neighbours: dict[int, list[int]] = {}
    for i, j in bonded_pairs(atoms):
        neighbours.setdefault(i, []).append(j)
        neighbours.setdefault(j, []).append(i)
    found = []
    masses = atoms.get_masses()
    for index, others in neighbours.items():
        light = [k for k in sorted(others) if atoms.numbers[k] == 1]
        equal = len(light) == 3 and np.ptp(masses[light]) < 0.1
        if equal and atoms.numbers[index] != 1 and len(others) == 4:
            found.append(np.array(light))
    return found


def name_of(atoms: Atoms) -> str:
    """SMILES of a molecule, or the formula of what has none."""
    formula = str(atoms.get_chemical_formula())
    if atoms.pbc.any():
        return formula
    try:
        found = perceive_bonds(from_atoms(atoms, Labels()))
        with BlockLogs():  # of lone hydrogens, which stay
            smiles = str(Chem.MolToSmiles(Chem.RemoveHs(found)))
    except Exception:
        # RDKit raises anything; a radical or a cluster has no SMILES.
        return formula
    return smiles if len(smiles) < _MAX_NAMED else formula
