"""Writing to disk: whole files or none, and one line where there is no room."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ase_physml.errors import DataError, WriteError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the errors by which a disk, a quota or a limit takes no more."""

GO_ON = "run the same command again to go on"
"""Advice where finished results are kept."""


def partial_file(path: Path) -> Path:
    """Name of a file, beside its own, while it is written: ``NAME.part``."""
    return path.with_name(path.name + ".part")


def partial_folder(out: Path) -> Path:
    """Folder of what is done of a file of results so far: ``OUT.partial``."""
    return out.with_name(out.name + ".partial")


@contextmanager
def atomic_write(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Replacement of a file: it appears under its name when it is complete.

    A process that is killed on the way, or an error, leaves what was there.

    Args:
        path: File to write; its folder exists.
        sync: Wait until the bytes are on the disk, so that a power cut leaves the old
            file or the new one.

    Yields:
        Path beside it, `partial_file`, to be written and closed in the ``with`` block.
    """
    partial = partial_file(path)
    try:
        yield partial
        if sync:
            _sync(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: object, indent: int | None = None) -> None:
    """Write JSON, all of it or none.

    Args:
        path: File, replaced if it exists.
        content: Value that JSON can hold.
        indent: Spaces of a level; one line if None.
    """
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(content, indent=indent) + "\n", "utf-8")


@contextmanager
def writing(path: Path, then: str = GO_ON) -> Iterator[None]:
    """Block that writes a file; its errors are one line, and what to do.

    Args:
        path: File or folder that is written.
        then: Advice when there is room.

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
    """Reason of an error in a few words: HDF5 says it in many."""
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
            f"{path}: cannot be written ({above}: {reason(error)}); choose another "
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


def _sync(path: Path) -> None:
    # For writing: Windows syncs no file that is open for reading only.
    with path.open("r+b") as file:
        os.fsync(file.fileno())
