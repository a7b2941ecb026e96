"""What a disk that takes no more is for people: one line, and nothing lost."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ase_physml.errors import DataError, WriteError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk, a quota or a limit says when it takes no more."""


@contextmanager
def writing(
    path: Path, then: str = "run the same command again to go on"
) -> Iterator[None]:
    """Say what is wrong, and what to do, where a file cannot be written.

    Args:
        path: File or folder that is written.
        then: What to do when there is room.

    Raises:
        WriteError: In place of any `OSError` of the block.
    """
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"{path}: cannot be written ({reason(error)}); finished results are kept: "
            f"make room, and {then}"
        ) from error


def reason(error: OSError) -> str:
    """Why, in a few words: HDF5 says it in many."""
    return os.strerror(error.errno) if error.errno else str(error)


def check_writable(path: Path) -> None:
    """Refuse, before any work, a file or folder that could not be made.

    Makes nothing: the nearest folder above that exists is asked.

    Raises:
        DataError: And why.
    """
    above = next(one for one in path.absolute().parents if one.exists())
    try:
        with tempfile.TemporaryFile(dir=above):
            return
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({reason(error)}: {above}); choose another "
            "place"
        ) from error


def check_room(path: Path, size: int) -> None:
    """Refuse to write where there is no room: HDF5 crashes on a full disk.

    Args:
        path: File that shall be written; its folder exists.
        size: Bytes.

    Raises:
        OSError: As the disk itself would.
    """
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
