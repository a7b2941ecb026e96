"""Structures of any other format: XYZ (``REF_`` keys too), SDF, PDB, what ASE reads."""

from collections.abc import Iterator
from pathlib import Path

import ase.db
import h5py
from ase import Atoms
from ase.io.trajectory import Trajectory

from ase_physml.charges import is_neutral, is_singlet, multiplicity, total_charge
from ase_physml.data.conversion import Labels, find_labels, from_atoms
from ase_physml.data.files.structure_file import read_structure_file
from ase_physml.data.frame import Frame
from ase_physml.data.importers.importer import Importer, Notes, Options
from ase_physml.data.importers.units import energy_factor, forces_factor, scaled
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError, StructureError


class AnyOfASE(Importer):
    """Importer of all neutral structures, of molecules those in singlet states."""

    name = "ase"
    options = frozenset({"energy_unit", "forces_unit", "energy_key", "forces_key"})

    def recognises(self, path: Path) -> bool:
        """True for all but HDF5, of which ASE reads no sets."""
        return not h5py.is_hdf5(path)

    def metadata(self, path: Path, options: Options) -> Metadata:
        """Origin only: such files do not say how they were computed."""
        energy_unit = options.energy_unit or "eV"
        energy_factor(energy_unit)
        forces_factor(options.forces_unit or f"{energy_unit}/angstrom")
        return Metadata(source=path.name)

    def count(self, path: Path, options: Options) -> int | None:
        """Number of frames where a file says it without being read whole."""
        if path.suffix == ".db":
            with ase.db.connect(path) as rows:
                return int(rows.count())
        if path.suffix == ".traj":
            with Trajectory(path) as images:
                return len(images)
        return None

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream the frames; the first label found decides where all are taken from.

        Charged and open-shell ones are left out: the layout cannot tell them from
        others.

        Raises:
            DataError: As of `read_structure_file`, or labels under different keys.
        """
        energy_unit = options.energy_unit or "eV"
        energy = energy_factor(energy_unit)
        forces = forces_factor(options.forces_unit or f"{energy_unit}/angstrom")
        first = Labels()
        for atoms in read_structure_file(path):
            reason = str(atoms) if isinstance(atoms, Exception) else _reason(atoms)
            if isinstance(atoms, Exception) or reason:
                notes.left_out[reason] += 1
                continue
            labels = find_labels(atoms, options.energy_key, options.forces_key)
            first = _same_keys(path, first, labels)
            for key in (labels.energy_key, labels.forces_key):
                if key is not None:
                    notes.labels[key] += 1
            yield scaled(from_atoms(atoms, labels), energy, forces)


def _same_keys(path: Path, first: Labels, now: Labels) -> Labels:
    """Energies of two methods in one set would be worse than an error."""
    pairs = {
        "energies": (first.energy_key, now.energy_key, "--energy-key"),
        "forces": (first.forces_key, now.forces_key, "--forces-key"),
    }
    for what, (before, after, flag) in pairs.items():
        if before is not None and after is not None and before != after:
            raise DataError(
                f"{path}: {what} are under {before!r} in some frames and {after!r} in "
                f"others; choose one with {flag}"
            )
    return Labels(
        energy_key=first.energy_key or now.energy_key,
        forces_key=first.forces_key or now.forces_key,
    )


def _reason(atoms: Atoms) -> str:
    """Reason why a structure cannot be stored, "" if it can."""
    try:
        charge = total_charge(atoms)
        spin = None if atoms.pbc.any() else multiplicity(atoms)
    except StructureError as error:
        return str(error)
    if charge is not None and not is_neutral(charge.value, len(atoms)):
        return "charged"
    if spin is not None and not is_singlet(spin.value):
        return f"multiplicity {spin.value:g}"
    return ""
