"""One structure with its labels, as plain arrays."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

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
    """

    energy: float
    forces: Array
    charges: Array | None = None
    dipole: Array | None = None
    spread: float | None = None


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

    def problem(self) -> str | None:
        """What is wrong with the values, in a few words; None if nothing is."""
        n = len(self.numbers)
        if n == 0:
            return "no atoms"
        if self.positions.shape != (n, 3):
            return f"positions of shape {self.positions.shape} for {n} atoms"
        if not np.isfinite(self.positions).all():
            return "a position is NaN or infinite"
        if self.numbers.min() < 1 or self.numbers.max() > 118:
            return "an atomic number outside 1..118"
        if self.energy is not None and not np.isfinite(self.energy):
            return "the energy is NaN or infinite"
        if self.fixed is not None and self.fixed.shape != (n,):
            return f"fixed of shape {self.fixed.shape} for {n} atoms"
        if self.forces is None:
            return None
        if self.forces.shape != (n, 3):
            return f"forces of shape {self.forces.shape} for {n} atoms"
        if not np.isfinite(self.forces).all():
            return "a force is NaN or infinite"
        return None
