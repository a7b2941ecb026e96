"""Is a set what it says it is? One clear error for each way it can be wrong."""

from pathlib import Path

import numpy as np

from ase_physml.data.columns import COLUMNS, Column
from ase_physml.data.layout import check_units, open_file
from ase_physml.data.ragged import RaggedSet
from ase_physml.errors import DataError

_ROWS = 1_000_000


def check(path: str | Path) -> RaggedSet:
    """Open a set and check every value in it, a bounded number at a time.

    Returns:
        The open set.

    Raises:
        DataError: Naming the file, the dataset, the first offending frame and a remedy.
    """
    data = RaggedSet(path)
    with open_file(data.path) as file:
        check_units(data.path, file, strict=True)
    if len(data) == 0:
        raise DataError(f"{path}: the set is empty; import or label something into it")
    _check_numbers(data)
    for column in COLUMNS:
        if column.is_real and data.has(column.name):
            _check_finite(data, column)
    return data


def _check_numbers(data: RaggedSet) -> None:
    for start in range(0, int(data.offsets[-1]), _ROWS):
        numbers = data.column("atomic_numbers", start, start + _ROWS)
        wrong = np.flatnonzero((numbers < 1) | (numbers > 118))
        if len(wrong):
            row = start + int(wrong[0])
            raise DataError(
                f"{data.path}: atomic_numbers has {numbers[wrong[0]]} in frame "
                f"{_frame_of(data, row)}, not an element (1..118); remove the frame or "
                "write the file again"
            )


def _check_finite(data: RaggedSet, column: Column) -> None:
    rows = int(data.offsets[-1]) if column.per_atom else len(data)
    for start in range(0, rows, _ROWS):
        values = data.column(column.name, start, start + _ROWS)
        wrong = np.flatnonzero(column.is_wrong(values))
        if len(wrong):
            row = start + int(wrong[0])
            frame = _frame_of(data, row) if column.per_atom else row
            raise DataError(
                f"{data.path}: {column.name} of frame {frame} is not finite; remove "
                "the frame or compute it again"
            )


def _frame_of(data: RaggedSet, row: int) -> int:
    return int(np.searchsorted(data.offsets, row, side="right")) - 1
