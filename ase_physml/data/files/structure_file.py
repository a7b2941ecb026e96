"""Structures of one file, of every format: what all verbs read with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, filetype

from ase_physml.charges import state
from ase_physml.data.files.kinds import kind_of
from ase_physml.data.files.limits import (
    MAX_ATOMS,
    check_arrays,
    check_counts,
    plain,
)
from ase_physml.data.files.pdb import read_pdb
from ase_physml.data.files.sdf import read_sdf
from ase_physml.data.files.xyz import read_xyz
from ase_physml.errors import DataError, StructureError

# By the names that ASE has for them.
_OF_OURS: dict[str, Callable[[Path], Iterator[Atoms | StructureError]]] = {
    "sdf": read_sdf,
    "mol": read_sdf,
    "proteindatabank": read_pdb,
    "extxyz": read_xyz,
    "xyz": read_xyz,
}


def read_structure_file(path: Path) -> Iterator[Atoms | StructureError]:
    """Structures of a file, in order; in place of one that is bad why it is.

    What the file says of charge and spin is in ``info`` or in initial charges and
    moments, see `ase_physml.charges`.

    Args:
        path: File in XYZ, SDF, PDB, or what ASE reads; also with .gz, .bz2 or .xz.

    Raises:
        DataError: Of no known format, damaged, or without any structure. Structures
            before the damage have been given by then.
    """
    found = 0
    with plain(path) as file:
        try:
            for atoms in _frames(file):
                found += 1
                yield atoms if isinstance(atoms, Exception) else _checked(path, atoms)
        except DataError as error:
            # Not of the copy that was expanded.
            raise DataError(str(error).replace(str(file), str(path))) from error
    if not found:
        raise DataError(f"{path}: holds no structure")


def _frames(path: Path) -> Iterator[Atoms | StructureError]:
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    try:
        if path.suffix.lower() == ".db":
            yield from _rows(path)
            return
        # ASE goes by the ending.
        kind = "sdf" if kind_of(path) == "SDF" else filetype(str(path))
        if kind in _OF_OURS:
            yield from _OF_OURS[kind](path)
        else:
            check_counts(path, kind)
            check_arrays(path)
            yield from ase.io.iread(path, ":")
    except DataError:
        raise
    except UnknownFileTypeError as error:
        raise DataError(
            f"{path}: a format that neither ASE nor this package knows; convert it to "
            "extended XYZ"
        ) from error
    except Exception as error:
        # Parsers raise whatever they stumble on, some with long texts.
        about = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataError(
            f"{path}: cannot be read ({about}); it is damaged, truncated or of another "
            "format"
        ) from error


def _rows(path: Path) -> Iterator[Atoms]:
    with path.open("rb") as file:
        is_database = file.read(15) == b"SQLite format 3"
    if not is_database:
        raise DataError(f"{path}: not an ASE database, though its name ends in .db")
    with ase.db.connect(path) as rows:
        for row in rows.select():
            atoms = row.toatoms()
            # Where people keep labels of their own.
            atoms.info |= {**row.data, **row.key_value_pairs}
            yield atoms


def _checked(path: Path, atoms: Atoms) -> Atoms | StructureError:
    if len(atoms) == 0:
        return StructureError(f"{path}: a structure has no atoms")
    if len(atoms) > MAX_ATOMS:
        return StructureError(
            f"{path}: {len(atoms):,} atoms; structures of more than {MAX_ATOMS:,} are "
            "not read"
        )
    occupancy = atoms.info.get("occupancy")
    if isinstance(occupancy, dict) and any(
        share < 1.0 for site in occupancy.values() for share in dict(site).values()
    ):
        return StructureError(
            f"{path}: sites are partly occupied; make an ordered structure of it"
        )
    if not np.isfinite(atoms.cell.array).all():
        return StructureError(f"{path}: the cell is not finite")
    try:
        state(atoms)
    except StructureError as error:
        return StructureError(f"{path}: {error}")
    return atoms
