"""Writing sets: in chunks, and all or nothing."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import h5py
import numpy as np

from ase_physml.data.frame import Array, Frame
from ase_physml.data.layout import PER_ATOM
from ase_physml.data.metadata import Metadata
from ase_physml.data.text_column import TextColumn
from ase_physml.errors import DataError
from ase_physml.jobs.disk import check_room, reason
from ase_physml.jobs.locking import lock

Precision = Literal["f4", "f8"]

_BUFFERED_ATOMS = 100_000
_CHUNK_VALUES = 8192
# At most, and for what HDF5 and the texts still keep back.
_ATOM_BYTES, _FRAME_BYTES, _SPARE_BYTES = 64, 256, 2**24
# Shape of a row, dtype, and what stands for "not given".
_COLUMNS: dict[str, tuple[tuple[int, ...], str, float]] = {
    "n_atoms": ((), "i4", 0),
    "atomic_numbers": ((), "u1", 0),
    "positions": ((3,), "real", 0),
    "energy": ((), "f8", np.nan),
    "forces": ((3,), "real", np.nan),
    "cell": ((3, 3), "f8", 0),
    "pbc": ((3,), "?", 0),
    "fixed": ((), "?", 0),
    "charges": ((), "real", np.nan),
    "dipole": ((3,), "f8", np.nan),
    "spread": ((), "f8", np.nan),
}
_TEXTS = ("name", "smiles")


class RaggedWriter:
    """Append frames to a new set; the file appears under its name when it is complete.

    A column exists as soon as one frame has it. Frames without an energy or forces that
    others have get NaN.

    Args:
        path: File to write; replaced if it exists.
        metadata: Attributes; may be replaced until the end of the ``with`` block.
        precision: dtype of positions and forces.
        compress: gzip with shuffling; without it files are larger and faster to read.

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
        self.partial = self.path.with_name(self.path.name + ".part")
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
        self._texts: dict[str, TextColumn] = {}

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # HDF5 locks too, but only after it has emptied the file.
            with self.partial.open("ab") as file:
                if not lock(file):
                    raise DataError(
                        f"{self.path}: another process is writing it; wait for that, "
                        "or choose another name"
                    )
            self._file = h5py.File(self.partial, "w")
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
        size = _ATOM_BYTES * self._buffered_atoms + _FRAME_BYTES * len(self._buffer)
        check_room(self.partial, size + _SPARE_BYTES)
        for name in _COLUMNS:
            rows = _rows(self._buffer, name)
            if rows is None and name not in self._file:
                continue
            self._append_rows(name, _absent(self._buffer, name, rows))
        for name in _TEXTS:
            values = [getattr(frame, name) for frame in self._buffer]
            if name not in self._texts and any(values):
                self._texts[name] = TextColumn()
                self._texts[name].extend([None] * self._written["frames"])
            if name in self._texts:
                self._texts[name].extend(values)
        self._written["frames"] += len(self._buffer)
        self._written["atoms"] += self._buffered_atoms
        self._buffer.clear()
        self._buffered_atoms = 0

    def _append_rows(self, name: str, rows: Array) -> None:
        shape, kind, missing = _COLUMNS[name]
        if name not in self._file:
            # Earlier frames did not have it: their rows read as the fill value.
            earlier = self._written["atoms" if name in PER_ATOM else "frames"]
            self._file.create_dataset(
                name,
                shape=(earlier, *shape),
                maxshape=(None, *shape),
                dtype=self.precision if kind == "real" else kind,
                fillvalue=missing,
                chunks=(_CHUNK_VALUES // max(1, int(np.prod(shape))), *shape),
                **self._compression,
            )
        dataset = self._file[name]
        dataset.resize(len(dataset) + len(rows), axis=0)
        dataset[-len(rows) :] = rows

    def _finish(self) -> None:
        if not self.n_frames:
            raise DataError(f"{self.path}: there are no frames to write")
        self._flush()
        for name, column in self._texts.items():
            column.write(self._file, name, self._compression)
        self._file.attrs.update(self.metadata.to_attributes())
        self._file.close()
        _sync(self.partial)
        self.partial.replace(self.path)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
            elif isinstance(error, OSError):
                raise error
        except OSError as failure:
            raise DataError(
                f"{self.path}: cannot be written ({reason(failure)}); make room, or "
                "choose another folder"
            ) from failure
        finally:
            for column in self._texts.values():
                column.close()
            with suppress(OSError, RuntimeError):
                self._file.close()
            self.partial.unlink(missing_ok=True)


def _rows(frames: list[Frame], name: str) -> list[Any] | None:
    """One column of some frames, None if no frame has it."""
    if name == "n_atoms":
        return [len(f.numbers) for f in frames]
    field = "numbers" if name == "atomic_numbers" else name
    values = [getattr(f, field) for f in frames]
    return None if all(v is None for v in values) else values


def _absent(frames: list[Frame], name: str, rows: list[Any] | None) -> Array:
    """Rows ready to write, with the fill value where a frame has none."""
    shape, _, missing = _COLUMNS[name]
    per_atom = name in PER_ATOM
    values = [
        np.full((len(f.numbers), *shape) if per_atom else shape, missing)
        if rows is None or rows[k] is None
        else rows[k]
        for k, f in enumerate(frames)
    ]
    return np.concatenate(values) if per_atom else np.array(values)


def _sync(path: Path) -> None:
    """Wait until the bytes are on the disk, so that a power cut leaves old or new."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


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
