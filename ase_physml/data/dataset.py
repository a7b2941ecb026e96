"""Sets in the project's own HDF5 layout: structures of any size, back to back.

``n_atoms`` (M,), ``atomic_numbers`` (sum N,), ``positions`` (sum N, 3) Å and, where a
set has them, further columns with a row for each frame or for each atom; which there
are, and their units, says `ase_physml.data.columns`. Frame i is rows
``n_atoms[:i].sum()`` onward. Units, level of theory and origin are attributes of the
file.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast, overload

import h5py
import numpy as np

from ase_physml.data.columns import BY_NAME, COLUMNS, Column, text
from ase_physml.data.frame import Array, Frame
from ase_physml.data.layout import check_layout, check_units, open_file
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError

# Frames between two that are worth reading along, and of a range read at once: to find
# and unpack a place in the file takes as long as tens of frames there.
_GAP, _RUN = 32, 4096
# Rows that `check` reads at a time.
_ROWS = 1_000_000
# Those of atoms first.
_NAMES = tuple(c.name for c in sorted(COLUMNS, key=lambda c: not c.per_atom))


class RaggedSet(Sequence[Frame]):
    """View of a set, lazy and read-only.

    Only the atom counts are in memory (12 bytes a frame with the offsets). The file is
    opened by the process that first reads from it and never shared with another one:
    HDF5 handles that cross a fork return corrupt data. A pickle holds the path only.

    Args:
        path: File in the layout of this module.
        any_units: Accept other units than eV and Å, for whoever converts them.

    Raises:
        DataError: Missing, not HDF5, truncated, lacking what the layout needs, or in
            other units. Values are checked by `check`.
    """

    def __init__(self, path: str | Path, *, any_units: bool = False) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._owner = 0
        file = self._open()
        # Fills the cached property.
        self.__dict__["n_atoms"] = check_layout(self.path, file)
        if not any_units:
            check_units(self.path, file, strict=False)
        self.attributes = {k: _plain(v) for k, v in file.attrs.items()}
        self.metadata = Metadata.from_attributes(self.attributes)
        self.columns = tuple(name for name in _NAMES if name in file)

    @cached_property
    def n_atoms(self) -> Array:
        """Number of atoms of each frame: int32 (M,)."""
        return check_layout(self.path, self._open())

    @cached_property
    def offsets(self) -> Array:
        """First row of each frame, and the end: int64 (M + 1,)."""
        offsets = np.zeros(len(self.n_atoms) + 1, dtype=np.int64)
        np.cumsum(self.n_atoms, out=offsets[1:])
        return offsets

    def has(self, name: str) -> bool:
        """True if the set has this column."""
        return name in self.columns

    def column(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start:stop`` of a dataset, all of them by default.

        Raises:
            DataError: The set has no such column, or its bytes are damaged.
        """
        if name != "n_atoms" and name not in self.columns:
            raise DataError(f"{self.path}: no {name}; it has {', '.join(self.columns)}")
        try:
            return cast(Array, self._open()[name][start:stop])
        except OSError as error:
            raise DataError(
                f"{self.path}: {name} cannot be read ({error}); the file is damaged, "
                "copy or import it again"
            ) from error

    def __len__(self) -> int:
        return len(self.n_atoms)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return self.read(np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path}: frame {index} of {len(self)}")
        return self._chunk(int(index) % len(self), int(index) % len(self) + 1)[0]

    def __iter__(self) -> Iterator[Frame]:
        return (f for start, stop in self.chunks() for f in self._chunk(start, stop))

    def chunks(self, atoms: int = 100_000) -> Iterator[tuple[int, int]]:
        """Ranges of frames with so many atoms each, or with one frame if it is larger.

        Whoever reads everything reads it by these, in bounded memory.
        """
        start = 0
        while start < len(self):
            end = int(self.offsets[start]) + atoms
            fitting = int(np.searchsorted(self.offsets, end, side="right")) - 1
            stop = max(start + 1, fitting)
            yield start, stop
            start = stop

    def read(self, indices: Array) -> list[Frame]:
        """Frames in the order asked for; those near each other are read at once.

        Args:
            indices: Places in the set (m,), each any number of times.
        """
        found: dict[int, Frame] = {}
        for run in _runs(np.unique(np.asarray(indices, dtype=np.int64))):
            start = int(run[0])
            frames = self._chunk(start, int(run[-1]) + 1, run - start)
            found.update(zip(run.tolist(), frames, strict=True))
        return [found[int(i)] for i in indices]

    def _chunk(self, start: int, stop: int, wanted: Array | None = None) -> list[Frame]:
        """Frames of a range, or those of it that are wanted, counted from its start."""
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        rows = self.offsets[start : stop + 1] - first
        parts: dict[str, Sequence[Any]] = {}
        for name in self.columns:
            if BY_NAME[name].per_atom:
                parts[name] = np.split(self.column(name, first, last), rows[1:-1])
            else:
                parts[name] = list(self.column(name, start, stop))
        return [
            _frame({name: values[k] for name, values in parts.items()})
            for k in (range(stop - start) if wanted is None else wanted)
        ]

    def _open(self) -> h5py.File:
        if self._file is not None and self._owner != os.getpid():
            # Ours by fork: HDF5 would otherwise share the parent's descriptor.
            self._file.close()
            self._file = None
        if self._file is None:
            self._file = open_file(self.path)
            self._owner = os.getpid()
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        dropped = {"n_atoms", "offsets"}
        kept = {k: v for k, v in self.__dict__.items() if k not in dropped}
        return {**kept, "_file": None, "_owner": 0}


def _frame(stored: dict[str, Any]) -> Frame:
    """Frame of its rows in each column."""
    values = {BY_NAME[n].field: BY_NAME[n].value(rows) for n, rows in stored.items()}
    if values.get("cell") is not None and "pbc" in stored:
        # Of a cell that repeats nowhere it is known, not missing.
        values["pbc"] = stored["pbc"].astype(bool)
    return Frame(**values)


def _plain(value: Any) -> Any:
    """Attribute that survives a pickle: h5py has types of its own."""
    return text(value) if isinstance(value, bytes | h5py.Empty) else value


def _runs(indices: Array) -> list[Array]:
    """Stretches of ascending numbers that lie near each other, none of them long."""
    runs: list[Array] = []
    for run in np.split(indices, np.flatnonzero(np.diff(indices) > _GAP) + 1):
        if len(run):
            blocks = (run - run[0]) // _RUN
            runs += np.split(run, np.flatnonzero(np.diff(blocks)) + 1)
    return runs


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
