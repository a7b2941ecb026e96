"""Files and folders that one process at a time may write."""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from filelock import lock_descriptor

from ase_physml.errors import DataError
from ase_physml.jobs.disk import reason


def lock(file: BinaryIO) -> bool:
    """Lock an open file until it is closed or the process ends, however it ends.

    Returns:
        False if another handle has it. On file systems which have no locks, True.
    """
    try:
        return lock_descriptor(file.fileno(), blocking=False)
    except OSError:
        return True


class FolderLock:
    """Lock of a folder of results, for this process, while the ``with`` block lasts.

    A file ``.lock`` in the folder is locked; it is gone when the work has ended, and
    left where it was interrupted. Locks end with their process, so what a killed one
    left behind keeps nobody out.

    Args:
        folder: Folder of the results, made if missing.

    Attributes:
        interrupted: Flag that an earlier process began work here and did not end it.

    Raises:
        DataError: Another process is at it, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / ".lock"
        self.interrupted = self._begun = self._made = False

    def __enter__(self) -> Self:
        self._made = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b", buffering=0)
        except OSError as error:
            raise DataError(
                f"{self.folder}: cannot be a folder of results ({reason(error)}); "
                "choose another"
            ) from error
        # One who let go of the file between may have removed it, and it locks nothing.
        if not lock(self._file) or not self._path.exists():
            self._file.close()
            raise DataError(
                f"{self.folder}: another process is writing there; wait for it, or "
                "choose another folder"
            )
        self.interrupted = self._file.seek(0, os.SEEK_END) > 0
        return self

    def begin(self) -> None:
        """Begin work: if it is not ended, it counts as interrupted from here on."""
        self._begun = True
        with suppress(OSError):  # on a full disk the work itself will say so
            self._file.write(b"unfinished\n")

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        ended = kind is None if self._begun else not self.interrupted
        if ended:
            self._remove()
        self._file.close()
        if ended and self._made:
            with suppress(OSError):  # mostly it has results now
                self.folder.rmdir()

    def _remove(self) -> None:
        """Remove the file while it is locked: later it may be another process's."""
        self._file.truncate(0)
        try:
            self._path.unlink(missing_ok=True)
        except PermissionError:  # Windows keeps a file that is open anywhere
            self._file.close()
            with suppress(OSError):
                self._path.unlink()
