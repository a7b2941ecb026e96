"""Layout of the project's HDF5 files: datasets, their lengths and units."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ase_physml.data.columns import BY_NAME, COLUMNS, N_ATOMS, REQUIRED, Column, text
from ase_physml.data.files.limits import check_dataset
from ase_physml.data.frame import Array
from ase_physml.errors import DataError

_MEANS = {"iu": "integers", "biu": "booleans", "SO": "text", "f": "real numbers"}


def open_file(path: Path) -> h5py.File:
    """Open for reading.

    Raises:
        DataError: Missing, a folder, unreadable, not HDF5 or truncated.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        return h5py.File(path, "r")
    except PermissionError as error:
        raise DataError(f"{path}: you may not read this file") from error
    except OSError as error:
        if not h5py.is_hdf5(path):
            raise DataError(
                f"{path}: not an HDF5 file; convert it with `physml data import`"
            ) from error
        raise DataError(
            f"{path}: a truncated or damaged HDF5 file ({error}); copy or import it "
            "again"
        ) from error


def check_layout(path: Path, file: h5py.File) -> Array:
    """Check everything but the values, reading only headers and ``n_atoms``.

    Returns:
        Number of atoms of each frame, int32 (M,).

    Raises:
        DataError: Naming the file, the dataset and the remedy.
    """
    for name in REQUIRED:
        if name not in file:
            raise DataError(
                f"{path}: no dataset {name!r}; this is not a set in the project's "
                "layout, convert it with `physml data import`"
            )
    present = [column for column in BY_NAME.values() if column.name in file]
    for column in present:
        _check_shape(path, column, file[column.name])
        check_size(path, file[column.name])
    n_atoms = _check_counts(path, file[N_ATOMS.name][:])
    total = int(n_atoms.sum(dtype=np.int64))
    for column in present:
        rows = total if column.per_atom else len(n_atoms)
        if len(file[column.name]) != rows:
            raise DataError(
                f"{path}: {column.name} has {len(file[column.name])} rows, but n_atoms "
                f"asks for {rows}; the file is damaged, write it again"
            )
    return n_atoms


def check_size(path: Path, dataset: h5py.Dataset) -> None:
    """Refuse a dataset far larger than what is stored of it: it would fill memory.

    Raises:
        DataError: As of `check_dataset`.
    """
    stored = dataset.id.get_storage_size()
    check_dataset(path, dataset.name.strip("/"), dataset.nbytes, stored)


def check_units(path: Path, file: h5py.File, *, strict: bool) -> None:
    """Refuse a file in other units.

    Args:
        path: Path of the file, for messages.
        file: Open file.
        strict: Also refuse one that does not state the units of what it holds.

    Raises:
        DataError: Naming the attribute and the remedy.
    """
    for column in COLUMNS:
        key, unit, name = column.stated, column.unit, column.name
        if not key or name not in file:
            continue
        if key in file.attrs and text(file.attrs[key]) != unit:
            raise DataError(
                f"{path}: {key} is {text(file.attrs[key])!r}, but the layout is in "
                f"{unit}; `physml data import` converts it"
            )
        if strict and key not in file.attrs:
            raise DataError(
                f"{path}: no attribute {key!r}, so the unit of {name} is not known; "
                "`physml data import` states it (--energy-unit, --forces-unit)"
            )


def _check_shape(path: Path, column: Column, dataset: Any) -> None:
    name = column.name
    if not isinstance(dataset, h5py.Dataset):
        raise DataError(f"{path}: {name} is a group, not a dataset; write it again")
    if dataset.ndim == 0 or dataset.shape[1:] != column.shape:
        expected = ", ".join(["rows", *map(str, column.shape)])
        raise DataError(
            f"{path}: {name} has shape {dataset.shape}, expected ({expected}); write "
            "the file again with RaggedWriter"
        )
    if dataset.dtype.kind not in column.kinds:
        raise DataError(
            f"{path}: {name} has dtype {dataset.dtype}, but must hold "
            f"{_MEANS[column.kinds]}; write the file again with RaggedWriter"
        )


def _check_counts(path: Path, n_atoms: Array) -> Array:
    wrong = np.flatnonzero(n_atoms < 1)
    if len(wrong):
        raise DataError(
            f"{path}: n_atoms of frame {wrong[0]} is {n_atoms[wrong[0]]}; every frame "
            "needs an atom, write the file again without it"
        )
    return n_atoms.astype(np.int32, copy=False)
