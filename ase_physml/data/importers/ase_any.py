"""Everything ASE reads: extended XYZ (``REF_`` keys too), trajectories, databases."""

from collections.abc import Iterator
from pathlib import Path

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import UnknownFileTypeError
from ase.io.trajectory import Trajectory

from ase_physml.data.atoms import Labels, find_labels, from_atoms
from ase_physml.data.frame import Frame
from ase_physml.data.importers.source import Importer, Notes, Options
from ase_physml.data.metadata import Metadata
from ase_physml.data.units import energy_factor, forces_factor, scaled
from ase_physml.errors import DataError


class AnyOfASE(Importer):
    """All neutral structures."""

    name = "ase"
    options = frozenset({"energy_unit", "forces_unit", "energy_key", "forces_key"})

    def metadata(self, path: Path, options: Options) -> Metadata:
        """Only the origin: such files do not say how they were computed."""
        energy_unit = options.energy_unit or "eV"
        energy_factor(energy_unit)
        forces_factor(options.forces_unit or f"{energy_unit}/angstrom")
        return Metadata(source=path.name)

    def count(self, path: Path, options: Options) -> int | None:
        """Where a file says it without being read whole."""
        if path.suffix == ".db":
            with ase.db.connect(path) as rows:
                return int(rows.count())
        if path.suffix == ".traj":
            with Trajectory(path) as images:
                return len(images)
        return None

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream the frames; the first label found decides where all are taken from.

        Charged structures are left out: the layout cannot tell them from neutral ones.

        Raises:
            DataError: A format ASE does not know, or labels under different keys.
        """
        energy_unit = options.energy_unit or "eV"
        energy = energy_factor(energy_unit)
        forces = forces_factor(options.forces_unit or f"{energy_unit}/angstrom")
        first = Labels()
        for atoms in _structures(path):
            if _charge(atoms):
                notes.left_out["charged"] += 1
                continue
            labels = find_labels(atoms, options.energy_key, options.forces_key)
            first = _same_keys(path, first, labels)
            for key in (labels.energy_key, labels.forces_key):
                if key is not None:
                    notes.labels[key] += 1
            yield scaled(from_atoms(atoms, labels), energy, forces)


def _structures(path: Path) -> Iterator[Atoms]:
    if path.suffix != ".db":
        try:
            yield from ase.io.iread(path, ":")
        except UnknownFileTypeError as error:
            raise DataError(
                f"{path}: a format that neither ASE nor this package knows; convert "
                "it to extended XYZ"
            ) from error
        return
    with ase.db.connect(path) as rows:
        for row in rows.select():
            atoms = row.toatoms()
            # Where people keep labels of their own.
            atoms.info |= {**row.data, **row.key_value_pairs}
            yield atoms


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


def _charge(atoms: Atoms) -> bool:
    charge = atoms.info.get("charge", atoms.get_initial_charges().sum())
    return bool(abs(float(np.asarray(charge).reshape(()))) > 1e-3)
