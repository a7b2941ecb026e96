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
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from ase_physml.data.frame import Array, Evaluation, Frame
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

# Kinds: text of a failure; energy and forces; these with charges and dipole; both of
# them with the spread of a committee.
_FAILURE, _FORCES, _CHARGES, _SPREAD, _CHARGES_SPREAD = range(5)
_WITH_SPREAD = {_FORCES: _SPREAD, _CHARGES: _CHARGES_SPREAD}


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
    values: list[Array] = [np.array([result.energy]), np.ravel(result.forces)]
    kind = _FORCES
    if result.charges is not None and result.dipole is not None:
        values += [result.charges, result.dipole]
        kind = _CHARGES
    if result.spread is not None:
        values.append(np.array([result.spread]))
        kind = _WITH_SPREAD[kind]
    return kind, np.concatenate(values).astype("<f8").tobytes()


def _unpacked(kind: int, payload: bytes) -> Result:
    if kind == _FAILURE:
        return payload.decode()
    values = np.frombuffer(payload, dtype="<f8").astype(np.float64)
    energy, rest, spread = float(values[0]), values[1:], None
    if kind in _WITH_SPREAD.values():
        rest, spread = rest[:-1], float(rest[-1])
    if kind in (_FORCES, _SPREAD):
        return Evaluation(energy, rest.reshape(-1, 3), spread=spread)
    # Three numbers of force and one of charge an atom, and three of the dipole.
    n = (len(rest) - 3) // 4
    forces, charges, dipole = np.split(rest, [3 * n, 4 * n])
    return Evaluation(energy, forces.reshape(-1, 3), charges, dipole, spread)


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
