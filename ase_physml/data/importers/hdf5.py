"""HDF5: the base of its importers, and files in the project's own layout."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ase_physml.data.columns import REQUIRED
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Array, Frame
from ase_physml.data.importers.importer import Importer, Notes, Options
from ase_physml.data.importers.units import (
    energy_factor,
    forces_factor,
    length_factor,
    scaled,
)
from ase_physml.data.layout import check_size, open_file
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError

# Conformers read at a time: published groups hold up to many thousands.
_ROWS = 1024


class HDF5Importer(Importer):
    """Importer of a layout of HDF5."""

    @abstractmethod
    def has_layout(self, file: h5py.File) -> bool:
        """True if an open file has this layout."""

    def recognises(self, path: Path) -> bool:
        """True if it is an HDF5 file in this layout."""
        if not h5py.is_hdf5(path):
            return False
        with open_file(path) as file:
            return self.has_layout(file)


def first_child(group: Any) -> Any:
    """First member of a group; an empty mapping of what has none."""
    return next(iter(group.values()), {}) if isinstance(group, h5py.Group) else {}


@dataclass(frozen=True)
class Conformers:
    """Structures of one composition, as such files store them.

    Attributes:
        numbers: Atomic numbers (N,).
        positions: Positions (F, N, 3), Å.
        energies: Energies (F,) or (F, 1), in the unit of the file.
        forces: Forces (F, N, 3), in the unit of the file per Å, or None.
        name: Prefix of the frames' names.
        smiles: SMILES, the same for all, or None.
        chosen: Places of those that are wanted, ascending; None for all.
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
        """Places of those wanted from ``start`` to ``stop``, counted from ``start``."""
        if self.chosen is None:
            return range(stop - start)
        first, last = np.searchsorted(self.chosen, [start, stop])
        return self.chosen[first:last] - start


def dataset(path: Path, group: h5py.Group, name: str) -> h5py.Dataset:
    """Dataset of a group.

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


class OwnLayout(HDF5Importer):
    """Files in the project's own layout: to convert units, or to restate metadata."""

    name = "physml"
    options = frozenset({"energy_unit", "forces_unit"})

    def has_layout(self, file: h5py.File) -> bool:
        """True if it has what the layout requires."""
        return all(name in file for name in REQUIRED)

    def metadata(self, path: Path, options: Options) -> Metadata:
        """Metadata of the file."""
        data = RaggedSet(path, any_units=True)
        _factors(data, options)
        return data.metadata

    def count(self, path: Path, options: Options) -> int | None:
        """Number of frames."""
        return len(RaggedSet(path, any_units=True))

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream the frames; units come from the options, else from the attributes."""
        data = RaggedSet(path, any_units=True)
        energy, forces, length = _factors(data, options)
        for frame in data:
            yield scaled(frame, energy, forces, length)


def _factors(data: RaggedSet, options: Options) -> tuple[float, float, float]:
    stated = data.attributes
    length_unit = str(stated.get("length_unit", "angstrom"))
    energy_unit = options.energy_unit or str(stated.get("energy_unit", "eV"))
    forces_unit = options.forces_unit or str(
        stated.get("forces_unit", f"{energy_unit}/{length_unit}")
    )
    return (
        energy_factor(energy_unit),
        forces_factor(forces_unit),
        length_factor(length_unit),
    )
