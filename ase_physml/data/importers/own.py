"""Files in the project's own layout: to convert units, or to restate what they are."""

from collections.abc import Iterator
from pathlib import Path

import h5py

from ase_physml.data.columns import REQUIRED
from ase_physml.data.frame import Frame
from ase_physml.data.importers.hdf5 import HDF5Importer
from ase_physml.data.importers.source import Notes, Options
from ase_physml.data.metadata import Metadata
from ase_physml.data.ragged import RaggedSet
from ase_physml.data.units import energy_factor, forces_factor, length_factor, scaled


class Own(HDF5Importer):
    """All frames, in the units of the layout."""

    name = "physml"
    options = frozenset({"energy_unit", "forces_unit"})

    def recognises(self, file: h5py.File) -> bool:
        """Whether an HDF5 file has this layout."""
        return all(name in file for name in REQUIRED)

    def metadata(self, path: Path, options: Options) -> Metadata:
        """As in the file."""
        data = RaggedSet(path, any_units=True)
        _factors(data, options)
        return data.metadata

    def count(self, path: Path, options: Options) -> int | None:
        """As in the file."""
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
