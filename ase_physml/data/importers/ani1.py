"""ANI-1 files, ``ani_gdb_s01.h5`` ... ``s08.h5`` (Smith et al. 2017).

Root / molecule with ``species`` (N,), ``coordinates`` (F, N, 3) Å, ``energies`` (F,)
Hartree and ``smiles``. Its high-energy conformers (``coordinatesHE``) are not read.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from ase.data import atomic_numbers
from ase.units import Hartree

from ase_physml.data.frame import Frame
from ase_physml.data.importers.hdf5 import Conformers, HDF5Importer, dataset
from ase_physml.data.importers.source import Notes, Options
from ase_physml.data.layout import open_file
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError


class ANI1(HDF5Importer):
    """All conformers but the high-energy ones."""

    name = "ani1"

    def recognises(self, file: h5py.File) -> bool:
        """Whether an HDF5 file has this layout."""
        return next(_molecules(file), None) is not None

    def metadata(self, path: Path, options: Options) -> Metadata:
        """Level of theory as published."""
        return Metadata(
            level_of_theory="wB97X/6-31G(d)",
            energy_kind="total electronic energy",
            equilibrium=False,
            source="ANI-1 (Smith et al. 2017, doi 10.1038/sdata.2017.193)",
        )

    def count(self, path: Path, options: Options) -> int | None:
        """From the shapes of all groups."""
        with open_file(path) as file:
            return sum(len(group["coordinates"]) for group in _molecules(file))

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream frames named molecule/position in its group."""
        with open_file(path) as file:
            for group in _molecules(file):
                yield from _conformers(path, group).frames(Hartree)


def _molecules(group: h5py.Group) -> Iterator[h5py.Group]:
    """Groups with structures, however deep: files differ in their outer levels."""
    species = group.get("species")
    if isinstance(species, h5py.Dataset) and "coordinates" in group:
        # Symbols; numbers are of other releases.
        if species.ndim == 1 and species.dtype.kind in "SO":
            yield group
        return
    for child in group.values():
        if isinstance(child, h5py.Group):
            yield from _molecules(child)


def _conformers(path: Path, group: h5py.Group) -> Conformers:
    symbols = [s.decode() for s in dataset(path, group, "species")[:]]
    unknown = set(symbols) - set(atomic_numbers)
    if unknown:
        raise DataError(f"{path}: {group.name}: no element {sorted(unknown)[0]!r}")
    # One character a row.
    smiles = b"".join(group["smiles"][:]).decode() if "smiles" in group else None
    return Conformers(
        np.array([atomic_numbers[s] for s in symbols], dtype=np.uint8),
        dataset(path, group, "coordinates"),
        dataset(path, group, "energies"),
        None,
        group.name.rpartition("/")[2],
        smiles,
    )
