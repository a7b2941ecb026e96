"""Frame: one structure with its labels, as plain arrays."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy.typing as npt

from ase_physml.data.columns import COLUMNS

Array = npt.NDArray[Any]


class Evaluation(NamedTuple):
    """Labels that a calculator gives one structure.

    Attributes:
        energy: Energy, eV.
        forces: Forces (n, 3), eV/Å.
        charges: Charges (n,), e, or None.
        dipole: Dipole (3,), e Å, or None.
        spread: Largest standard deviation of the force on an atom that a committee
            states, eV/Å, or None.
        stress: Stress (3, 3), eV/Å^3, with ASE's sign, or None.
    """

    energy: float
    forces: Array
    charges: Array | None = None
    dipole: Array | None = None
    spread: float | None = None
    stress: Array | None = None


@dataclass(frozen=True)
class Frame:
    """Structure with its labels.

    Attributes:
        numbers: Atomic numbers (n,).
        positions: Positions (n, 3), Å.
        energy: Energy, eV, or None.
        forces: Forces (n, 3), eV/Å, or None.
        cell: Lattice vectors (3, 3), Å, or None for a molecule.
        pbc: Periodic directions (3,), bool, or None for a molecule.
        name: Free text.
        smiles: Free text.
        fixed: Mask (n,) of atoms that were held where they are; None if none was.
        charges: Charges (n,), e, or None.
        dipole: Dipole (3,), e Å, or None.
        spread: Largest standard deviation that a committee states for the force on an
            atom, where its mean is the label, eV/Å; or None.
        stress: Stress (3, 3) of a structure with a volume, eV/Å^3, with ASE's sign:
            positive where the cell would rather be smaller; or None.
    """

    numbers: Array
    positions: Array
    energy: float | None = None
    forces: Array | None = None
    cell: Array | None = None
    pbc: Array | None = None
    name: str | None = None
    smiles: str | None = None
    fixed: Array | None = None
    charges: Array | None = None
    dipole: Array | None = None
    spread: float | None = None
    stress: Array | None = None

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    def problem(self) -> str | None:
        """Fault of the values, in a few words; None if there is none."""
        if self.n_atoms == 0:
            return "no atoms"
        for column in COLUMNS:
            values = getattr(self, column.field)
            found = None if values is None else column.problem(values, self.n_atoms)
            if found is not None:
                return found
        if self.numbers.min() < 1 or self.numbers.max() > 118:
            return "an atomic number outside 1..118"
        return None
