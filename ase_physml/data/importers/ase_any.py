"""Everything ASE reads: extended XYZ (``REF_`` keys too), trajectories, databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import ase.io
from ase import units

from ase_physml.data.atoms import from_atoms
from ase_physml.data.frame import Frame
from ase_physml.data.ragged import Metadata
from ase_physml.errors import DataError

if TYPE_CHECKING:
    from ase_physml.data.importers import Options, Source

ENERGY_UNITS = {
    "eV": 1.0,
    "Hartree": units.Hartree,
    "kcal/mol": units.kcal / units.mol,
}


def open_file(path: Path, options: "Options") -> "Source":
    """Stream the frames of a file.

    Raises:
        DataError: Unknown energy unit, or a file that ASE cannot read.
    """
    from ase_physml.data.importers import Source

    if options.energy_unit not in ENERGY_UNITS:
        known = ", ".join(ENERGY_UNITS)
        raise DataError(f"energy unit {options.energy_unit!r} is not one of {known}")
    factor = ENERGY_UNITS[options.energy_unit]
    source = Source(iter(()), Metadata(source=path.name))

    def frames() -> Iterator[Frame]:
        try:
            for atoms in ase.io.iread(path, ":"):
                frame, found = from_atoms(atoms)
                for what, key in found.items():
                    source.note(f"{what} from {key}")
                yield _scaled(frame, factor)
        except DataError:
            raise
        except Exception as error:
            # ASE's readers raise whatever their parser stumbles on.
            raise DataError(f"{path}: ASE cannot read it ({error})") from error

    source.frames = frames()
    return source


def _scaled(frame: Frame, factor: float) -> Frame:
    from dataclasses import replace

    if factor == 1.0:
        return frame
    return replace(
        frame,
        energy=None if frame.energy is None else frame.energy * factor,
        forces=None if frame.forces is None else frame.forces * factor,
    )
