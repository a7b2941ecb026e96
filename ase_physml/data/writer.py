"""Writing sets: in chunks, and all or nothing."""

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from ase_physml.data.frame import Frame
from ase_physml.data.ragged import Metadata
from ase_physml.errors import DataError

_BUFFERED_ATOMS = 100_000


class RaggedWriter:
    """Append frames to a new set; the file appears under its name when it is complete.

    The first frame decides which columns the set has. A later frame without an energy
    or forces that others have gets NaN.

    Args:
        path: File to write; replaced if it exists.
        metadata: Attributes.
        precision: dtype of positions and forces, "f8" or "f4".

    Raises:
        DataError: A frame that cannot be stored, named by its position.
    """

    def __init__(
        self, path: str | Path, metadata: Metadata, precision: str = "f8"
    ) -> None:
        self.path = Path(path)
        self.partial = self.path.with_name(self.path.name + ".part")
        self.metadata = metadata
        self.precision = precision
        self.n_frames = 0
        self._buffer: list[Frame] = []
        self._buffered_atoms = 0
        self._columns: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = h5py.File(self.partial, "w")
        self._file.attrs.update(self.metadata.to_attributes())
        return self

    def append(self, frame: Frame) -> None:
        """Add one frame."""
        problem = frame.problem()
        if problem is not None:
            label = f" ({frame.name})" if frame.name else ""
            raise DataError(f"{self.path}: frame {self.n_frames}{label}: {problem}")
        if not self._columns:
            self._create(frame)
        self._buffer.append(frame)
        self._buffered_atoms += len(frame.numbers)
        self.n_frames += 1
        if self._buffered_atoms >= _BUFFERED_ATOMS:
            self._flush()

    def extend(self, frames: Iterable[Frame]) -> None:
        """Add many frames."""
        for frame in frames:
            self.append(frame)

    def _create(self, frame: Frame) -> None:
        text = h5py.string_dtype()
        real = self.precision
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "n_atoms": ((), "i4"),
            "atomic_numbers": ((), "u1"),
            "positions": ((3,), real),
            "energy": ((), "f8"),
            "forces": ((3,), real),
            "cell": ((3, 3), "f8"),
            "pbc": ((3,), "?"),
            "name": ((), text),
            "smiles": ((), text),
        }
        always = ("n_atoms", "atomic_numbers", "positions")
        self._columns = tuple(
            n for n in shapes if n in always or getattr(frame, n, None) is not None
        )
        for name in self._columns:
            shape, kind = shapes[name]
            self._file.create_dataset(
                name,
                shape=(0, *shape),
                maxshape=(None, *shape),
                dtype=kind,
                chunks=(max(1, 8192 // max(1, int(np.prod(shape)))), *shape),
                compression="gzip",
                compression_opts=4,
                shuffle=True,
            )

    def _flush(self) -> None:
        if not self._buffer:
            return
        for name in self._columns:
            rows = _rows(self._buffer, name)
            dataset = self._file[name]
            dataset.resize(len(dataset) + len(rows), axis=0)
            dataset[-len(rows) :] = rows
        self._buffer.clear()
        self._buffered_atoms = 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                if not self.n_frames:
                    raise DataError(f"{self.path}: there are no frames to write")
                self._flush()
                self._file.close()
                descriptor = os.open(self.partial, os.O_RDONLY)
                os.fsync(descriptor)
                os.close(descriptor)
                self.partial.replace(self.path)
        finally:
            self._file.close()
            self.partial.unlink(missing_ok=True)


def _rows(frames: list[Frame], name: str) -> Any:
    """One column of some frames, ready to write."""
    if name == "n_atoms":
        return np.array([len(f.numbers) for f in frames])
    if name == "atomic_numbers":
        return np.concatenate([f.numbers for f in frames])
    if name == "positions":
        return np.concatenate([f.positions for f in frames])
    if name == "forces":
        missing = [np.full((len(f.numbers), 3), np.nan) for f in frames]
        pairs = zip(frames, missing, strict=True)
        return np.concatenate([m if f.forces is None else f.forces for f, m in pairs])
    if name == "energy":
        return np.array([np.nan if f.energy is None else f.energy for f in frames])
    if name == "cell":
        none = np.zeros((3, 3))
        return np.stack([none if f.cell is None else f.cell for f in frames])
    if name == "pbc":
        open_ = np.zeros(3, bool)
        return np.stack([open_ if f.pbc is None else f.pbc for f in frames])
    return [getattr(f, name) or "" for f in frames]


def write(
    path: str | Path, frames: Iterable[Frame], metadata: Metadata, precision: str = "f8"
) -> int:
    """Write a whole set and return the number of frames."""
    with RaggedWriter(path, metadata, precision) as writer:
        writer.extend(frames)
    return writer.n_frames
