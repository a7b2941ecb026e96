"""Sets of the ANI potentials: ANI-1, ANI-1x and ANI-2x."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from ase.data import atomic_numbers
from ase.units import Hartree

from ase_physml.data.frame import Frame
from ase_physml.data.importers.hdf5 import (
    Conformers,
    HDF5Importer,
    dataset,
    first_child,
)
from ase_physml.data.importers.importer import Notes, Options
from ase_physml.data.layout import open_file
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError

_ENERGY, _FORCES = "wb97x_dz.energy", "wb97x_dz.forces"
_ANI1X_LEVELS = {
    _ENERGY: "wB97X/6-31G(d)",
    "wb97x_tz.energy": "wB97X/def2-TZVPP",
    "ccsd(t)_cbs.energy": "CCSD(T)*/CBS",
}
_ROWS = 1024
# As published files are named.
_ANI2X_LEVELS = {
    "wB97X-631Gd": "wB97X/6-31G(d)",
    "wB97X-def2TZVPP": "wB97X/def2-TZVPP",
    "wB97MV-def2TZVPP": "wB97M-V/def2-TZVPP",
    "wB97MD3BJ-def2TZVPP": "wB97M-D3(BJ)/def2-TZVPP",
    "B973c-def2mTZVP": "B97-3c/def2-mTZVP",
}


class ANI1(HDF5Importer):
    """ANI-1, ``ani_gdb_s01.h5`` ... ``s08.h5`` (Smith et al. 2017).

    Root / molecule with ``species`` (N,), ``coordinates`` (F, N, 3) Å, ``energies``
    (F,) Hartree and ``smiles``. Its high-energy conformers (``coordinatesHE``) are not
    read.
    """

    name = "ani1"

    def has_layout(self, file: h5py.File) -> bool:
        """True if its first group is of this layout."""
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
        """Sum over the shapes of all groups."""
        with open_file(path) as file:
            return sum(len(group["coordinates"]) for group in _molecules(file))

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream frames named molecule/position in its group."""
        with open_file(path) as file:
            for group in _molecules(file):
                yield from _ani1_conformers(path, group).frames(Hartree)


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


def _ani1_conformers(path: Path, group: h5py.Group) -> Conformers:
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


class ANI1x(HDF5Importer):
    """ANI-1x, ``ani1x-release.h5`` (Smith et al. 2020).

    Formula with ``atomic_numbers`` (N,), ``coordinates`` (F, N, 3) Å and labels, among
    them ``wb97x_dz.energy`` (F,) Hartree and ``wb97x_dz.forces`` (F, N, 3) Hartree/Å.
    Labels that were not computed are NaN; such conformers are left out and counted.
    """

    name = "ani1x"
    options = frozenset({"energy_key", "forces_key"})

    def has_layout(self, file: h5py.File) -> bool:
        """True if its first group is of this layout."""
        first = first_child(file)
        return "coordinates" in first and "atomic_numbers" in first

    def metadata(self, path: Path, options: Options) -> Metadata:
        """Level of theory of the labels that were asked for."""
        key = options.energy_key or _ENERGY
        return Metadata(
            level_of_theory=_ANI1X_LEVELS.get(key, key.rpartition(".")[0]),
            energy_kind="total electronic energy",
            equilibrium=False,
            source="ANI-1x (Smith et al. 2020, doi 10.1038/s41597-020-0473-z)",
        )

    def count(self, path: Path, options: Options) -> int | None:
        """Sum over the shapes of all groups, frames without labels included."""
        with open_file(path) as file:
            return sum(len(dataset(path, g, "coordinates")) for g in file.values())

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream the labelled frames, named formula/position in its group."""
        energy = options.energy_key or _ENERGY
        forces = options.forces_key
        if forces is None:
            # Forces of another method than the energies would be worse than none.
            forces = _FORCES if energy == _ENERGY else ""
        with open_file(path) as file:
            for group in file.values():
                conformers = Conformers(
                    dataset(path, group, "atomic_numbers")[:].astype(np.uint8),
                    dataset(path, group, "coordinates"),
                    dataset(path, group, energy),
                    dataset(path, group, forces) if forces else None,
                    group.name.strip("/"),
                )
                for frame in conformers.frames(Hartree):
                    if _labelled(frame):
                        yield frame
                    else:
                        notes.left_out[f"no {energy} or its forces (NaN)"] += 1


def _labelled(frame: Frame) -> bool:
    if frame.energy is None or np.isnan(frame.energy):
        return False
    return frame.forces is None or not np.isnan(frame.forces).any()


class ANI2x(HDF5Importer):
    """ANI-2x, ``ANI-2x-wB97X-631Gd.h5`` and others (Devereux et al. 2020).

    Number of atoms, as ``003``, with ``species`` (F, N) atomic numbers,
    ``coordinates`` (F, N, 3) Å, ``energies`` (F,) Hartree and, in some files,
    ``forces`` (F, N, 3) Hartree/Å.
    """

    name = "ani2x"

    def has_layout(self, file: h5py.File) -> bool:
        """True if its first group is of this layout."""
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
        level = next((v for k, v in _ANI2X_LEVELS.items() if k in path.name), "")
        return Metadata(
            level_of_theory=level,
            energy_kind="total electronic energy",
            equilibrium=False,
            source="ANI-2x (Devereux et al. 2020, doi 10.1021/acs.jctc.0c00121)",
        )

    def count(self, path: Path, options: Options) -> int | None:
        """Sum over the shapes of all groups."""
        with open_file(path) as file:
            return sum(len(dataset(path, g, "coordinates")) for g in file.values())

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream frames named number of atoms/position in the group."""
        with open_file(path) as file:
            for group in file.values():
                yield from _ani2x_frames(path, group)


def _ani2x_frames(path: Path, group: h5py.Group) -> Iterator[Frame]:
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
