"""Results on their way to a set, in a file that a kill cannot spoil.

A folder with ``job.json`` (what is computed) and ``results`` (records, appended in the
order in which they come in). A record that a kill cut short fails its checksum, is cut
off at the next start and computed again.
"""

import os
import shutil
import struct
import zlib
from array import array
from contextlib import suppress
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from ase_physml.data.columns import BY_NAME
from ase_physml.data.frame import Evaluation, Frame
from ase_physml.errors import DataError
from ase_physml.jobs.disk import writing
from ase_physml.jobs.identity import Identity
from ase_physml.jobs.locking import lock

Result = Evaluation | str
"""What a calculator says of a frame, or why it says nothing."""

# Frame index, checksum of the frame, kind of the record, length of what follows.
_HEAD = struct.Struct("<QIBI")
_TAIL = struct.Struct("<I")
AFRESH = "finish that run, or start over with --overwrite or remove the folder"

# Kinds: text of a failure; labels, after a line that names their columns.
_FAILURE, _LABELS = 0, 5
_PER = ("frame", "atom")
# Columns of the kinds that earlier versions wrote, without such a line.
_EARLIER = {
    1: ("energy", "forces"),
    2: ("energy", "forces", "charges", "dipole"),
    3: ("energy", "forces", "spread"),
    4: ("energy", "forces", "charges", "dipole", "spread"),
}


class Journal:
    """Results by frame index; opening one reads what an earlier run left.

    Args:
        folder: Made if missing.
        job: What is computed; a journal of anything else is refused.
        afresh: Forget what an earlier run left.

    Raises:
        DataError: The folder holds another job, or another process is at it.
    """

    def __init__(self, folder: Path, job: Identity, *, afresh: bool = False) -> None:
        self.folder = folder
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = (folder / "results").open("a+b")
        try:
            self._claim(job, afresh)
        except BaseException:
            self._file.close()
            raise
        # Where each frame's record starts, -1 for none: 8 bytes a frame.
        self._places = array("q")
        self.count = 0
        self._replay()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What a full disk did not take is still in the buffer, and is no loss.
        with suppress(OSError):
            self._file.close()

    def has(self, index: int, frame: Frame) -> bool:
        """Whether this frame's result is there.

        Raises:
            DataError: There is one, but of another structure.
        """
        if index >= len(self._places) or self._places[index] < 0:
            return False
        _, stored, _ = self._record(self._places[index])
        if stored != checksum(frame):
            raise DataError(
                f"{self.folder}: frame {index} of the input is not what it was when "
                "this job was interrupted; remove the folder to start over"
            )
        return True

    def add(self, index: int, frame: Frame, result: Result) -> None:
        """Append a result; it is with the operating system when this returns.

        Raises:
            DataError: It cannot be written: a full disk, mostly.
        """
        kind, payload = _packed(result)
        record = _HEAD.pack(index, checksum(frame), kind, len(payload)) + payload
        with writing(self.folder):
            place = self._file.seek(0, os.SEEK_END)
            self._file.write(record + _TAIL.pack(zlib.crc32(record)))
            self._file.flush()
        self._remember(index, place)

    def get(self, index: int) -> Result:
        """A result that is there."""
        _, _, result = self._record(self._places[index])
        return result

    def remove(self) -> None:
        """Delete the folder, once its content is safe elsewhere."""
        self._file.close()
        shutil.rmtree(self.folder)

    def _claim(self, job: Identity, afresh: bool) -> None:
        if not lock(self._file):
            raise DataError(
                f"{self.folder}: another process is working on this job; wait for it"
            )
        path = self.folder / "job.json"
        if afresh:
            path.unlink(missing_ok=True)
            self._file.truncate(0)
        with writing(self.folder):
            job.claim(path, AFRESH)

    def _replay(self) -> None:
        """Find the records, and cut off what a kill left incomplete."""
        size = self._file.seek(0, os.SEEK_END)
        place = 0
        while place < size:
            try:
                index, _, _ = self._record(place)
            except EOFError:
                self._file.truncate(place)
                return
            self._remember(index, place)
            place = self._file.tell()

    def _remember(self, index: int, place: int) -> None:
        missing = index + 1 - len(self._places)
        if missing > 0:
            self._places.extend([-1] * missing)
        self.count += self._places[index] < 0
        self._places[index] = place

    def _record(self, place: int) -> tuple[int, int, Result]:
        self._file.seek(place)
        head = self._file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise EOFError
        index, stored, kind, length = _HEAD.unpack(head)
        payload, tail = self._file.read(length), self._file.read(_TAIL.size)
        if tail != _TAIL.pack(zlib.crc32(head + payload)):
            raise EOFError
        return index, stored, _unpacked(kind, payload)


def _packed(result: Result) -> tuple[int, bytes]:
    """Kind and bytes of a record."""
    if isinstance(result, str):
        return _FAILURE, result.encode()
    given = {n: v for n, v in result._asdict().items() if v is not None}
    values = np.concatenate([np.ravel(v) for v in given.values()])
    return _LABELS, " ".join(given).encode() + b"\n" + values.astype("<f8").tobytes()


def _unpacked(kind: int, payload: bytes) -> Result:
    if kind == _FAILURE:
        return payload.decode()
    if kind == _LABELS:
        line, _, payload = payload.partition(b"\n")
        names = line.decode().split()
    else:
        names = list(_EARLIER[kind])
    values = np.frombuffer(payload, dtype="<f8").astype(np.float64)
    columns = [BY_NAME[name] for name in names]
    sizes = {per: sum(prod(c.shape) for c in columns if c.per == per) for per in _PER}
    # Forces are always there, and so some values are of atoms.
    n = (len(values) - sizes["frame"]) // sizes["atom"]
    found: dict[str, Any] = {}
    for column in columns:
        shape = column.shape_of(n)
        part, values = np.split(values, [prod(shape)])
        found[column.name] = part.reshape(shape) if shape else float(part[0])
    return Evaluation(**found)


def checksum(frame: Frame) -> int:
    """Of the structure: elements, positions, cell."""
    numbers = np.ascontiguousarray(frame.numbers, dtype="<i8")
    found = zlib.crc32(numbers.tobytes())
    for values, kind in (
        (frame.positions, "<f8"),
        (frame.cell, "<f8"),
        (frame.pbc, "?"),
    ):
        if values is not None:
            found = zlib.crc32(np.ascontiguousarray(values, kind).tobytes(), found)
    return found
