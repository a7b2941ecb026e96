"""Writer of sets: in chunks, and all or nothing."""

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Literal, Self

import h5py
import numpy as np

from ase_physml.data.columns import COLUMNS, N_ATOMS, Column
from ase_physml.data.frame import Array, Frame
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError
from ase_physml.jobs.disk import atomic_write, check_room, partial_file, reason
from ase_physml.jobs.locking import lock

Precision = Literal["f4", "f8"]

_BUFFERED_ATOMS = 100_000
_CHUNK_VALUES = 8192
_TEXT_ROWS = 8192
# For what HDF5 and the texts still keep back.
_SPARE_BYTES = 2**24


class RaggedWriter:
    """Writer of a new set; the file appears under its name when it is complete.

    A column exists as soon as one frame has it. Frames without a label that others have
    get NaN.

    Args:
        path: File to write; replaced if it exists.
        metadata: Attributes; may be replaced until the end of the ``with`` block.
        precision: Dtype of positions and forces.
        compress: Use gzip with shuffling; files without it are larger and faster to
            read.

    Raises:
        DataError: A frame that cannot be stored, named by its position, or a path that
            cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        metadata: Metadata,
        precision: Precision = "f8",
        *,
        compress: bool = True,
    ) -> None:
        self.path = Path(path)
        self.metadata = metadata
        self.precision = precision
        self.n_frames = 0
        self._compression: dict[str, object] = (
            {"compression": "gzip", "compression_opts": 4, "shuffle": True}
            if compress
            else {}
        )
        self._buffer: list[Frame] = []
        self._buffered_atoms = 0
        self._written = {"frames": 0, "atoms": 0}
        self._texts: dict[str, _TextColumn] = {}

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # HDF5 locks too, but only after it has emptied the file.
            with partial_file(self.path).open("ab") as file:
                if not lock(file):
                    raise DataError(
                        f"{self.path}: another process is writing it; wait for that, "
                        "or choose another name"
                    )
            self._stack = ExitStack()
            partial = self._stack.enter_context(atomic_write(self.path, sync=True))
            self._file = h5py.File(partial, "w")
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot write here ({error}); choose another folder"
            ) from error
        return self

    def append(self, frame: Frame) -> None:
        """Add one frame."""
        problem = frame.problem()
        if problem is not None:
            label = f" ({frame.name})" if frame.name else ""
            raise DataError(f"{self.path}: frame {self.n_frames}{label}: {problem}")
        self._buffer.append(frame)
        self._buffered_atoms += len(frame.numbers)
        self.n_frames += 1
        if self._buffered_atoms >= _BUFFERED_ATOMS:
            self._flush()

    def extend(self, frames: Iterable[Frame]) -> None:
        """Add many frames."""
        for frame in frames:
            self.append(frame)

    def _flush(self) -> None:
        if not self._buffer:
            return
        frames, bytes_of = len(self._buffer), self._bytes_of
        size = bytes_of("atom") * self._buffered_atoms + bytes_of("frame") * frames
        check_room(self.path, size + _SPARE_BYTES)
        for column in (N_ATOMS, *COLUMNS):
            if column.dtype == "text":
                self._extend_text(column)
            elif (rows := column.rows(self._buffer)) is not None:
                self._append_rows(column, rows)
            elif column.name in self._file:
                self._append_rows(column, column.filled(self._buffer))
        self._written["frames"] += len(self._buffer)
        self._written["atoms"] += self._buffered_atoms
        self._buffer.clear()
        self._buffered_atoms = 0

    def _dtype(self, column: Column) -> str:
        return self.precision if column.dtype == "real" else column.dtype

    def _bytes_of(self, per: str) -> int:
        """Bytes of a row of all columns that there may be, but for texts."""
        some = [c for c in COLUMNS if c.per == per and c.dtype != "text"]
        return sum(np.dtype((self._dtype(c), c.shape)).itemsize for c in some)

    def _append_rows(self, column: Column, rows: Array) -> None:
        name, shape = column.name, column.shape
        if name not in self._file:
            # Earlier frames did not have it: their rows read as the fill value.
            earlier = self._written["atoms" if column.per_atom else "frames"]
            self._file.create_dataset(
                name,
                shape=(earlier, *shape),
                maxshape=(None, *shape),
                dtype=self._dtype(column),
                fillvalue=column.missing or 0,
                chunks=(_CHUNK_VALUES // max(1, int(np.prod(shape))), *shape),
                **self._compression,
            )
        dataset = self._file[name]
        dataset.resize(len(dataset) + len(rows), axis=0)
        dataset[-len(rows) :] = rows

    def _extend_text(self, column: Column) -> None:
        values = [getattr(frame, column.field) for frame in self._buffer]
        if column.name not in self._texts and any(values):
            self._texts[column.name] = _TextColumn()
            self._texts[column.name].extend([None] * self._written["frames"])
        if column.name in self._texts:
            self._texts[column.name].extend(values)

    def _finish(self) -> None:
        if not self.n_frames:
            raise DataError(f"{self.path}: there are no frames to write")
        self._flush()
        for name, column in self._texts.items():
            column.write(self._file, name, self._compression)
        self._file.attrs.update(self.metadata.to_attributes())
        self._file.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self._stack:
                self._stack.callback(self._release)
                if kind is None:
                    self._finish()
                elif error is not None:
                    raise error
        except OSError as failure:
            raise DataError(
                f"{self.path}: cannot be written ({reason(failure)}); make room, or "
                "choose another folder"
            ) from failure

    def _release(self) -> None:
        for column in self._texts.values():
            column.close()
        with suppress(OSError, RuntimeError):
            self._file.close()


class _TextColumn:
    """Strings in a scratch file, until the longest is known.

    HDF5 compresses fixed-width text well and leaves variable-width text as it is, but
    the width has to be known before the first row is written.
    """

    def __init__(self) -> None:
        self._scratch = TemporaryFile()  # noqa: SIM115 - closed by `write`
        self._width = 1
        self.rows = 0

    def extend(self, values: list[str | None]) -> None:
        """Add rows; None is the empty text."""
        for value in values:
            encoded = " ".join((value or "").splitlines()).encode(
                errors="backslashreplace"
            )
            self._width = max(self._width, len(encoded))
            self._scratch.write(encoded + b"\n")
        self.rows += len(values)

    def write(self, file: h5py.File, name: str, compression: dict[str, object]) -> None:
        """Create the dataset, a bounded number of rows at a time."""
        kind = f"S{self._width}"
        chunk = max(1, min(_TEXT_ROWS, self.rows))
        dataset = file.create_dataset(
            name, shape=(self.rows,), dtype=kind, chunks=(chunk,), **compression
        )
        self._scratch.seek(0)
        for start in range(0, self.rows, _TEXT_ROWS):
            lines = [line[:-1] for line in islice(self._scratch, _TEXT_ROWS)]
            dataset[start : start + len(lines)] = np.array(lines, dtype=kind)
        self.close()

    def close(self) -> None:
        """Drop the scratch file."""
        self._scratch.close()


def write(
    path: str | Path,
    frames: Iterable[Frame],
    metadata: Metadata,
    precision: Precision = "f8",
) -> int:
    """Write a whole set and return the number of frames.

    Raises:
        DataError: As `RaggedWriter`.
    """
    with RaggedWriter(path, metadata, precision) as writer:
        writer.extend(frames)
    return writer.n_frames
