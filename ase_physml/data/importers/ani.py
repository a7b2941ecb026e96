"""ANI-1 and ANI-1x HDF5 files (Smith et al. 2017, 2020). Energies are in Hartree."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from ase import units
from ase.data import atomic_numbers

from ase_physml.data.frame import Array, Frame
from ase_physml.data.ragged import Metadata
from ase_physml.errors import DataError

if TYPE_CHECKING:
    from ase_physml.data.importers import Options, Source

_CHUNK = 1024


def open_ani1(path: Path, options: "Options") -> "Source":
    """ANI-1: root / molecule with ``species``, ``coordinates``, ``energies``."""
    from ase_physml.data.importers import Source

    metadata = Metadata(
        level_of_theory="wB97X/6-31G(d)",
        equilibrium=False,
        source="ANI-1 (Smith et al. 2017, doi 10.1038/sdata.2017.193)",
    )
    return Source(_ani1(path), metadata)


def open_ani1x(path: Path, options: "Options") -> "Source":
    """ANI-1x: formula with ``atomic_numbers``, ``coordinates``, ``wb97x_dz.*``.

    Conformers without a label (NaN in the file) are left out and counted.
    """
    from ase_physml.data.importers import Source

    metadata = Metadata(
        level_of_theory="wB97X/6-31G(d)",
        equilibrium=False,
        source="ANI-1x (Smith et al. 2020, doi 10.1038/s41597-020-0473-z)",
    )
    source = Source(iter(()), metadata)
    source.frames = _ani1x(path, source)
    return source


def _ani1(path: Path) -> Iterator[Frame]:
    with h5py.File(path, "r") as file:
        for root in file.values():
            for label, group in root.items():
                missing = {"species", "coordinates", "energies"} - set(group)
                if missing:
                    raise DataError(f"{path}: {label} has no {sorted(missing)[0]}")
                symbols = [s.decode() for s in group["species"][:]]
                numbers = np.array([atomic_numbers[s] for s in symbols], np.uint8)
                smiles = "".join(s.decode() for s in group.get("smiles", []))
                yield from _conformers(
                    numbers,
                    group["coordinates"],
                    group["energies"],
                    None,
                    label,
                    smiles,
                )


def _ani1x(path: Path, source: "Source") -> Iterator[Frame]:
    with h5py.File(path, "r") as file:
        for label, group in file.items():
            if "wb97x_dz.energy" not in group:
                raise DataError(f"{path}: {label} has no wb97x_dz.energy")
            for frame in _conformers(
                group["atomic_numbers"][:].astype(np.uint8),
                group["coordinates"],
                group["wb97x_dz.energy"],
                group.get("wb97x_dz.forces"),
                label,
                "",
            ):
                if frame.problem() is None:
                    yield frame
                else:
                    source.note("left out: no label")


def _conformers(
    numbers: Array,
    coordinates: h5py.Dataset,
    energies: h5py.Dataset,
    forces: h5py.Dataset | None,
    label: str,
    smiles: str,
) -> Iterator[Frame]:
    for start in range(0, len(coordinates), _CHUNK):
        rows = slice(start, start + _CHUNK)
        block = coordinates[rows]
        force = None if forces is None else forces[rows] * units.Hartree
        for i, (position, energy) in enumerate(zip(block, energies[rows], strict=True)):
            yield Frame(
                numbers=numbers,
                positions=position.astype(np.float64),
                energy=float(energy) * units.Hartree,
                forces=None if force is None else force[i].astype(np.float64),
                name=f"{label}/{start + i}",
                smiles=smiles or None,
            )
