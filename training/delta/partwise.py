"""Accurate molecules at the distances of another method: a teacher of dimers.

    physml data label dimers.h5 teacher_dimers.h5 --calculator partwise:qm9

A correction that was trained on single molecules knows nothing of what is between two:
here each molecule is corrected on its own, and how they interact is the baseline's.
Charges and dipoles are the baseline's, too. Run from this folder, or with it in the
PYTHONPATH.
"""

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ase_physml import PhysMLCalculator
from ase_physml.calculators.many import compute_one
from ase_physml.calculators.names import make_calculator
from ase_physml.chem.bonds import bonded_pairs


class Partwise(Calculator):
    """Baseline of a whole structure, and the correction of each of its molecules.

    Args:
        potential: Potential on a baseline.
    """

    implemented_properties = ["energy", "forces", "charges", "dipole"]  # noqa: RUF012

    def __init__(self, potential: str) -> None:
        super().__init__(potential=potential)
        whole = PhysMLCalculator(potential)
        assert whole.card is not None
        assert whole.card.baseline
        self.baseline = make_calculator(whole.card.baseline)
        # Of modules nobody knows that they are corrections: nothing is added to them.
        self.correction = PhysMLCalculator(list(whole.members))

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        """Compute energy in eV, forces in eV/Å, charges in e, dipole in e Å."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        both = self.atoms
        whole = compute_one(self.baseline, both, self.implemented_properties)
        energy, forces = whole["energy"], np.array(whole["forces"])
        for part in molecules_of(both):
            correction = compute_one(self.correction, both[part])
            energy += correction["energy"]
            forces[part] += correction["forces"]
        self.results = {**whole, "energy": energy, "forces": forces}


def molecules_of(atoms: Atoms) -> list[np.ndarray]:
    """Atoms of each molecule, by the bonds."""
    bonds = np.array(sorted(bonded_pairs(atoms))).reshape(-1, 2)
    joined = coo_array((np.ones(len(bonds)), tuple(bonds.T)), shape=(len(atoms),) * 2)
    count, part = connected_components(joined, directed=False)
    return [np.flatnonzero(part == k) for k in range(count)]


def qm9() -> Partwise:
    """Teacher of molecules of H, C, N, O."""
    return Partwise("qm9_delta.pt")


def organic() -> Partwise:
    """Teacher of drug-like molecules of nine elements."""
    return Partwise("organic_delta.pt")
