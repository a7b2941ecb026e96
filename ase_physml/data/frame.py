"""One structure with its labels, as plain arrays."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy.typing as npt

from ase_physml.data.columns import COLUMNS

Array = npt.NDArray[Any]


class Evaluation(NamedTuple):
    """What a calculator says of one structure.

    Attributes:
        energy: eV.
        forces: (n, 3) eV/Å.
        charges: (n,) e, or None.
        dipole: (3,) e Å, or None.
        spread: Of a committee: largest standard deviation of the force on an atom,
            eV/Å, or None.
        stress: (3, 3) eV/Å^3 with ASE's sign, or None.
    """

    energy: float
    forces: Array
    charges: Array | None = None
    dipole: Array | None = None
    spread: float | None = None
    stress: Array | None = None


@dataclass(frozen=True)
class Frame:
    """One structure.

    Attributes:
        numbers: Atomic numbers (n,).
        positions: (n, 3) Å.
        energy: eV, or None.
        forces: (n, 3) eV/Å, or None.
        cell: (3, 3) Å, or None for a molecule.
        pbc: (3,) bool, or None for a molecule.
        name: Free text.
        smiles: Free text.
        fixed: (n,) bool, atoms that were held where they are; None if none was.
        charges: (n,) e, or None.
        dipole: (3,) e Å, or None.
        spread: Largest standard deviation that a committee states for the force on an
            atom, where its mean is the label, eV/Å; or None.
        stress: Of a structure with a volume, (3, 3) eV/Å^3 with ASE's sign, positive
            where the cell would rather be smaller; or None.
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
        """What is wrong with the values, in a few words; None if nothing is."""
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
