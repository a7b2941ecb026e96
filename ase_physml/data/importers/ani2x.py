"""ANI-2x files, ``ANI-2x-wB97X-631Gd.h5`` and others (Devereux et al. 2020).

Number of atoms, as ``003``, with ``species`` (F, N) atomic numbers, ``coordinates``
(F, N, 3) Å, ``energies`` (F,) Hartree and, in some files, ``forces`` (F, N, 3)
Hartree/Å.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from ase.units import Hartree

from ase_physml.data.frame import Frame
from ase_physml.data.importers.hdf5 import HDF5Importer, dataset, first_child
from ase_physml.data.importers.source import Notes, Options
from ase_physml.data.layout import open_file
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError

_ROWS = 1024
# As published files are named.
_LEVELS = {
    "wB97X-631Gd": "wB97X/6-31G(d)",
    "wB97X-def2TZVPP": "wB97X/def2-TZVPP",
    "wB97MV-def2TZVPP": "wB97M-V/def2-TZVPP",
    "wB97MD3BJ-def2TZVPP": "wB97M-D3(BJ)/def2-TZVPP",
    "B973c-def2mTZVP": "B97-3c/def2-mTZVP",
}


class ANI2x(HDF5Importer):
    """All conformers."""

    name = "ani2x"

    def recognises(self, file: h5py.File) -> bool:
        """Whether an HDF5 file has this layout."""
        first = first_child(file)
        species = first.get("species") if hasattr(first, "get") else None
        return (
            isinstance(species, h5py.Dataset)
            and species.ndim == 2
            and species.dtype.kind in "iu"
            and "coordinates" in first
        )

    def metadata(self, path: Path, options: Options) -> Metadata:
        """Level of theory by the file's name, "" if it is called otherwise."""
        level = next((v for k, v in _LEVELS.items() if k in path.name), "")
        return Metadata(
            level_of_theory=level,
            energy_kind="total electronic energy",
            equilibrium=False,
            source="ANI-2x (Devereux et al. 2020, doi 10.1021/acs.jctc.0c00121)",
        )

    def count(self, path: Path, options: Options) -> int | None:
        """From the shapes of all groups."""
        with open_file(path) as file:
            return sum(len(dataset(path, g, "coordinates")) for g in file.values())

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream frames named number of atoms/position in the group."""
        with open_file(path) as file:
            for group in file.values():
                yield from _frames(path, group)


def _frames(path: Path, group: h5py.Group) -> Iterator[Frame]:
    species, positions, energies = (
        dataset(path, group, name) for name in ("species", "coordinates", "energies")
    )
    forces = dataset(path, group, "forces") if "forces" in group else None
    if not len(species) == len(positions) == len(energies):
        raise DataError(f"{path}: {group.name}: datasets of different lengths")
    for start in range(0, len(positions), _ROWS):
        rows = slice(start, start + _ROWS)
        numbers = species[rows]
        places = positions[rows].astype(np.float64)
        labels = energies[rows].reshape(-1) * Hartree
        pulls = None if forces is None else forces[rows].astype(np.float64) * Hartree
        for k, energy in enumerate(labels):
            yield Frame(
                numbers=numbers[k],
                positions=places[k],
                energy=float(energy),
                forces=None if pulls is None else pulls[k],
                name=f"{group.name.strip('/')}/{start + k}",
            )
