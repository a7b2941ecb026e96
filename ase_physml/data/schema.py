"""Is a set what it says it is? One clear error for each way it can be wrong."""

from pathlib import Path

import h5py
import numpy as np

from ase_physml.data.ragged import UNITS, RaggedSet
from ase_physml.errors import DataError

_ROWS = 1_000_000
_SHAPES = {
    "n_atoms": (),
    "atomic_numbers": (),
    "positions": (3,),
    "forces": (3,),
    "energy": (),
    "cell": (3, 3),
    "pbc": (3,),
}
_KINDS = {"n_atoms": "iu", "atomic_numbers": "iu", "pbc": "b"}


def check(path: str | Path) -> RaggedSet:
    """Open a set and check every value in it, a bounded number at a time.

    Raises:
        DataError: Naming the file, the dataset, the first offending frame and a remedy.
    """
    data = RaggedSet(path)
    with h5py.File(path, "r") as file:
        _check_types(data, file)
        for key in UNITS:
            if key == "forces_unit" and "forces" not in file:
                continue
            if key not in file.attrs and (key != "energy_unit" or "energy" in file):
                raise DataError(
                    f"{path}: no attribute {key!r}; a reader cannot know the unit. Set "
                    f"it to {UNITS[key]!r} if that is what the numbers are in"
                )
    if len(data) == 0:
        raise DataError(f"{path}: the set is empty")
    if data.n_atoms.min() < 1:
        frame = int(np.argmin(data.n_atoms))
        raise DataError(f"{path}: n_atoms[{frame}] is {data.n_atoms[frame]}, not >= 1")
    _check_numbers(data)
    for name in ("positions", "forces", "energy"):
        if data.has(name):
            _check_finite(data, name)
    return data


def _check_types(data: RaggedSet, file: h5py.File) -> None:
    for name, shape in _SHAPES.items():
        if name not in file:
            continue
        dataset = file[name]
        if dataset.shape[1:] != shape:
            raise DataError(
                f"{data.path}: {name} has shape {dataset.shape}, expected (rows, "
                f"{', '.join(map(str, shape))})"
            )
        kinds = _KINDS.get(name, "f")
        if dataset.dtype.kind not in kinds and not (
            name == "pbc" and dataset.dtype.kind in "iu"
        ):
            raise DataError(
                f"{data.path}: {name} has dtype {dataset.dtype}, which cannot hold it; "
                "write the file again with RaggedWriter or `physml data import`"
            )


def _check_numbers(data: RaggedSet) -> None:
    for start in range(0, int(data.offsets[-1]), _ROWS):
        numbers = data.column("atomic_numbers", start, start + _ROWS)
        wrong = np.flatnonzero((numbers < 1) | (numbers > 118))
        if len(wrong):
            row = start + int(wrong[0])
            raise DataError(
                f"{data.path}: atomic number {numbers[wrong[0]]} in frame "
                f"{_frame_of(data, row)}; it must be 1..118"
            )


def _check_finite(data: RaggedSet, name: str) -> None:
    per_atom = name != "energy"
    rows = int(data.offsets[-1]) if per_atom else len(data)
    for start in range(0, rows, _ROWS):
        values = data.column(name, start, start + _ROWS)
        # NaN stands for "no label" in energies and forces, infinity for nothing.
        bad = ~np.isfinite(values) if name == "positions" else np.isinf(values)
        wrong = np.flatnonzero(bad.reshape(len(values), -1).any(1))
        if len(wrong):
            row = start + int(wrong[0])
            frame = _frame_of(data, row) if per_atom else row
            raise DataError(
                f"{data.path}: {name} of frame {frame} is not finite; remove the frame "
                "or compute it again"
            )


def _frame_of(data: RaggedSet, row: int) -> int:
    return int(np.searchsorted(data.offsets, row, side="right")) - 1
