"""Results one by one, in a file that a kill cannot spoil.

Records are appended to ``OUT.partial/results`` in the order in which they come in. A
record that a kill cut short fails its checksum, is cut off at the next start and
computed again.
"""

import os
import struct
import zlib
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from ase_physml.errors import DataError
from ase_physml.jobs.disk import writing
from ase_physml.jobs.identity import Identity
from ase_physml.jobs.resumable import ResumableJob

Result = TypeVar("Result")

# Index, checksum of the input, kind of the record, length of what follows.
_HEAD = struct.Struct("<QIBI")
_TAIL = struct.Struct("<I")


class Journal(ResumableJob, Generic[Result]):
    """Results by index of their input; opening one reads what an earlier run left.

    Args:
        out: See `ResumableJob`, as for ``job`` and ``afresh``.
        job: Identity of the job.
        pack: Function from a result to the kind of its record, 0 to 255, and its bytes.
        unpack: Inverse function.
        afresh: Forget an interrupted run.

    Attributes:
        count: Number of results.

    Raises:
        DataError: As of `ResumableJob`.
    """

    def __init__(
        self,
        out: Path,
        job: Identity,
        pack: Callable[[Result], tuple[int, bytes]],
        unpack: Callable[[int, bytes], Result],
        *,
        afresh: bool = False,
    ) -> None:
        super().__init__(out, job, afresh=afresh)
        self._pack, self._unpack = pack, unpack
        # Where each record starts, -1 for none: 8 bytes an input.
        self._places = array("q")
        self.count = 0
        try:
            with writing(self.folder):
                self._file: BinaryIO = (self.folder / "results").open("a+b")
            self._replay()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file, and let other processes in."""
        if hasattr(self, "_file"):
            # What a full disk did not take is still in the buffer, and is no loss.
            with suppress(OSError):
                self._file.close()
        super().close()

    def has(self, index: int, checksum: int) -> bool:
        """True if the result of an input is there.

        Args:
            index: Place of the input.
            checksum: Checksum of the input, 32 bits.

        Raises:
            DataError: There is one, but of another input.
        """
        if index >= len(self._places) or self._places[index] < 0:
            return False
        _, stored, _, _ = self._record(self._places[index])
        if stored != checksum:
            raise DataError(
                f"{self.folder}: frame {index} of the input is not what it was when "
                "this job was interrupted; remove the folder to start over"
            )
        return True

    def add(self, index: int, checksum: int, result: Result) -> None:
        """Append a result; it is with the operating system when this returns.

        Raises:
            WriteError: It cannot be written: a full disk, mostly.
        """
        kind, payload = self._pack(result)
        record = _HEAD.pack(index, checksum, kind, len(payload)) + payload
        with writing(self.folder):
            place = self._file.seek(0, os.SEEK_END)
            self._file.write(record + _TAIL.pack(zlib.crc32(record)))
            self._file.flush()
        self._remember(index, place)

    def get(self, index: int) -> Result:
        """Result that is there."""
        _, _, kind, payload = self._record(self._places[index])
        return self._unpack(kind, payload)

    def _replay(self) -> None:
        """Find the records, and cut off what a kill left incomplete."""
        size = self._file.seek(0, os.SEEK_END)
        place = 0
        while place < size:
            try:
                index, _, _, _ = self._record(place)
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

    def _record(self, place: int) -> tuple[int, int, int, bytes]:
        """Index, checksum of the input, kind and bytes of a record."""
        self._file.seek(place)
        head = self._file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise EOFError
        index, stored, kind, length = _HEAD.unpack(head)
        payload, tail = self._file.read(length), self._file.read(_TAIL.size)
        if tail != _TAIL.pack(zlib.crc32(head + payload)):
            raise EOFError
        return index, stored, kind, payload
