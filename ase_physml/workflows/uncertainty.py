"""Where a committee is not of one mind: structures to distrust, and to label next."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ase import Atoms

from ase_physml.data.conversion import Labels, from_atoms
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write


@dataclass(frozen=True)
class Doubt:
    """A structure, and how far the members part about the force on each atom.

    Attributes:
        atoms: The structure, without a calculator.
        spread: Norm of the calibrated standard deviation of each force (N,), eV/Å.
    """

    atoms: Atoms
    spread: npt.NDArray[np.float64]

    @property
    def largest(self) -> float:
        """On the atom of most doubt, eV/Å."""
        return float(self.spread.max())

    def about(self, threshold: float) -> str:
        """The atoms above a threshold, most doubtful first; empty if there are none."""
        order = np.argsort(-self.spread)
        named = [
            f"{i} ({self.atoms[i].symbol})" for i in order if self.spread[i] > threshold
        ]
        more = f" and {len(named) - 5} more" if len(named) > 5 else ""
        return ", ".join(named[:5]) + more


def doubt_about(atoms: Atoms) -> Doubt | None:
    """What the results of a structure say; None unless a committee computed them."""
    results = atoms.calc.results if atoms.calc is not None else {}
    if "forces_std" not in results:
        return None
    spread = np.linalg.norm(results["forces_std"], axis=1)
    return Doubt(atoms.copy(), spread)


def most_doubtful(doubts: Iterable[Doubt | None]) -> Doubt | None:
    """The one with the largest spread; None if there are none."""
    known = [doubt for doubt in doubts if doubt is not None]
    return max(known, key=lambda doubt: doubt.largest, default=None)


def write_doubtful(path: Path, doubts: Mapping[str, Doubt], potential: str) -> int:
    """Write structures without labels as a set, for `physml data label`.

    Args:
        path: HDF5 file to write, replaced if it exists.
        doubts: By name.
        potential: That doubts them, for the metadata.

    Returns:
        How many were written; with none, no file is.

    Raises:
        DataError: The file cannot be written.
    """
    if not doubts:
        return 0
    frames = (
        replace(from_atoms(doubt.atoms, Labels()), name=name)
        for name, doubt in doubts.items()
    )
    source = f"structures that {potential} is uncertain about"
    return write(path, frames, Metadata(equilibrium=False, source=source))
