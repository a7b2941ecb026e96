"""``ani1x-release.h5`` (Smith et al. 2020).

Formula with ``atomic_numbers`` (N,), ``coordinates`` (F, N, 3) Å and labels, among
them ``wb97x_dz.energy`` (F,) Hartree and ``wb97x_dz.forces`` (F, N, 3) Hartree/Å.
Labels that were not computed are NaN; such conformers are left out and counted.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from ase.units import Hartree

from ase_physml.data.frame import Frame
from ase_physml.data.importers.hdf5 import (
    Conformers,
    HDF5Importer,
    dataset,
    first_child,
)
from ase_physml.data.importers.source import Notes, Options
from ase_physml.data.layout import open_file
from ase_physml.data.metadata import Metadata

_ENERGY, _FORCES = "wb97x_dz.energy", "wb97x_dz.forces"
_LEVELS = {
    _ENERGY: "wB97X/6-31G(d)",
    "wb97x_tz.energy": "wB97X/def2-TZVPP",
    "ccsd(t)_cbs.energy": "CCSD(T)*/CBS",
}


class ANI1x(HDF5Importer):
    """Conformers that have the labels asked for."""

    name = "ani1x"
    options = frozenset({"energy_key", "forces_key"})

    def recognises(self, file: h5py.File) -> bool:
        """Whether an HDF5 file has this layout."""
        first = first_child(file)
        return "coordinates" in first and "atomic_numbers" in first

    def metadata(self, path: Path, options: Options) -> Metadata:
        """Level of theory of the labels that were asked for."""
        key = options.energy_key or _ENERGY
        return Metadata(
            level_of_theory=_LEVELS.get(key, key.rpartition(".")[0]),
            energy_kind="total electronic energy",
            equilibrium=False,
            source="ANI-1x (Smith et al. 2020, doi 10.1038/s41597-020-0473-z)",
        )

    def count(self, path: Path, options: Options) -> int | None:
        """From the shapes of all groups, those without labels included."""
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
