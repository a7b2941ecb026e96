"""Shared by the importers of other people's HDF5 layouts."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ase_physml.data.frame import Array, Frame
from ase_physml.data.importers.source import Importer
from ase_physml.data.layout import check_size
from ase_physml.errors import DataError

# Conformers read at a time: published groups hold up to many thousands.
_ROWS = 1024


class HDF5Importer(Importer):
    """Reads a layout of HDF5."""

    @abstractmethod
    def recognises(self, file: h5py.File) -> bool:
        """Whether an open file has this layout."""


def first_child(group: Any) -> Any:
    """The first member of a group; an empty one of what has none."""
    return next(iter(group.values()), {}) if isinstance(group, h5py.Group) else {}


@dataclass(frozen=True)
class Conformers:
    """Structures of one composition, as such files store them.

    Attributes:
        numbers: (N,) atomic numbers.
        positions: (F, N, 3) Å.
        energies: (F,) or (F, 1).
        forces: (F, N, 3), or None.
        name: Prefix of the frames' names.
        smiles: The same for all, or None.
        chosen: Which of them are wanted, ascending; None for all.
    """

    numbers: Array
    positions: h5py.Dataset
    energies: h5py.Dataset
    forces: h5py.Dataset | None
    name: str
    smiles: str | None = None
    chosen: Array | None = None

    def __len__(self) -> int:
        return len(self.positions if self.chosen is None else self.chosen)

    def frames(self, factor: float) -> Iterator[Frame]:
        """Frames in order; labels times ``factor``, NaN where the file has NaN."""
        for start in range(0, len(self.positions), _ROWS):
            rows = slice(start, start + _ROWS)
            wanted = self._wanted(start, min(start + _ROWS, len(self.positions)))
            if not len(wanted):
                continue
            positions = self.positions[rows].astype(np.float64)
            energies = self.energies[rows].reshape(-1) * factor
            forces = None
            if self.forces is not None:
                forces = self.forces[rows].astype(np.float64) * factor
            for i in wanted:
                yield Frame(
                    numbers=self.numbers,
                    positions=positions[i],
                    energy=float(energies[i]),
                    forces=None if forces is None else forces[i],
                    name=f"{self.name}/{start + i}",
                    smiles=self.smiles,
                )

    def _wanted(self, start: int, stop: int) -> range | Array:
        """Of the rows from ``start`` to ``stop``, counted from ``start``."""
        if self.chosen is None:
            return range(stop - start)
        first, last = np.searchsorted(self.chosen, [start, stop])
        return self.chosen[first:last] - start


def dataset(path: Path, group: h5py.Group, name: str) -> h5py.Dataset:
    """A dataset of a group.

    Raises:
        DataError: It is not there; the message says what is.
    """
    found = group.get(name)
    if not isinstance(found, h5py.Dataset):
        raise DataError(
            f"{path}: {group.name} has no dataset {name!r}, only "
            f"{', '.join(sorted(group)) or 'nothing'}; is the file complete, and of "
            "this --format?"
        )
    check_size(path, found)
    return found
