"""Limits of what a file may claim, before memory or time is spent on it."""

import bz2
import gzip
import lzma
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

from ase_physml.errors import DataError

MAX_ATOMS = 2_000_000
"""Largest number of atoms of one structure in a file."""

MAX_EXPANSION = 100
"""Largest size of the content of a compressed file over its own, beyond `FREE`."""

FREE = 64 * 2**20
"""Number of bytes that any compressed file may expand to."""

_BLOCK = 2**20
_OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
# Formats that state a number of atoms ahead of them: pattern of the lines that do.
_COUNTS = {
    "vasp": re.compile(r"^(?:[^\n]*\n){5,6}[ \t]*(\d[\d \t]*)$", re.MULTILINE),
    "gromacs": re.compile(r"\A[^\n]*\n[ \t]*(\d+)"),
    "cube": re.compile(r"\A(?:[^\n]*\n){2}[ \t]*-?(\d+)"),
    "lammps-data": re.compile(r"^[ \t]*(\d+)[ \t]+atoms", re.MULTILINE),
    "xsf": re.compile(r"PRIMCOORD[^\n]*\n[ \t]*(\d+)"),
}
_HEAD = 4096
# Arrays as ASE's JSON and trajectories announce them, with their shape.
_ARRAY = re.compile(rb'"(?:__)?ndarray(?:__)?"\s*:\s*\[\s*\[([\d,\s]+)\]')


def check_atoms(path: Path, claimed: int, left: int, where: str) -> None:
    """Refuse more atoms than may be, or than a file has room for.

    Args:
        path: Path of the file, for messages.
        claimed: Number of atoms that the file says a structure has.
        left: Number of bytes that follow.
        where: Place in the file, for messages.

    Raises:
        DataError: Naming the number.
    """
    if claimed > MAX_ATOMS:
        raise DataError(
            f"{path}: {where} claims {claimed:,} atoms; structures of more than "
            f"{MAX_ATOMS:,} are not read"
        )
    # An atom is an element and a position: seven characters at least, and a line.
    if 8 * claimed > left + 1:
        raise DataError(
            f"{path}: {where} claims {claimed:,} atoms, but {left:,} bytes follow; the "
            "file is truncated or the number wrong"
        )


def check_counts(path: Path, kind: str) -> None:
    """Refuse a text file of ASE's whose header claims more atoms than it has.

    Args:
        path: File to check.
        kind: Name that ASE has for its format.

    Raises:
        DataError: Naming the number.
    """
    pattern = _COUNTS.get(kind)
    if pattern is None:
        return
    with path.open("rb") as file:
        head = file.read(_HEAD).decode("latin-1")
    found = pattern.search(head)
    if found is not None:
        claimed = sum(int(one) for one in found[1].split())
        check_atoms(path, claimed, path.stat().st_size, "its header")


def check_arrays(path: Path) -> None:
    """Refuse arrays that are larger than the file of ASE's that announces them.

    ASE makes room for them, and fills it, before it looks at what is there.

    Raises:
        DataError: Naming the shape.
    """
    size = path.stat().st_size
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        for found in _ARRAY.finditer(content):
            shape = [int(one) for one in found[1].split(b",") if one.strip()]
            if prod(shape) > size:
                raise DataError(
                    f"{path}: announces an array of shape {tuple(shape)}, larger than "
                    "the file; it is damaged"
                )


def check_dataset(path: Path, name: str, size: int, stored: int) -> None:
    """Refuse a dataset of HDF5 that is far larger than what is stored of it.

    Args:
        path: Path of the file, for messages.
        name: Name of the dataset.
        size: Size in memory, bytes.
        stored: Size in the file, bytes.

    Raises:
        DataError: Naming both sizes.
    """
    if size > 8 * FREE and size > 4 * MAX_EXPANSION * stored:
        raise DataError(
            f"{path}: {name} has {stored:,} bytes in the file and would take "
            f"{size:,} in memory; it is damaged or made to fill it"
        )


@contextmanager
def plain(path: Path) -> Iterator[Path]:
    """File without compression: of a compressed one a copy that goes again.

    Yields:
        Path of the file or the copy, whose name lacks ``.gz``, ``.bz2`` or ``.xz``.

    Raises:
        DataError: Damaged, or its content is larger than `MAX_EXPANSION` allows.
    """
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        yield path
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.stem
        try:
            with opener(path) as source, copy.open("wb") as target:
                _expand(path, cast(IO[bytes], source), target)
        except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path}: cannot be expanded ({error})") from error
        yield copy


def _expand(path: Path, source: IO[bytes], target: IO[bytes]) -> None:
    allowed = max(FREE, MAX_EXPANSION * path.stat().st_size)
    written = 0
    while block := source.read(_BLOCK):
        written += len(block)
        if written > allowed:
            raise DataError(
                f"{path}: expands to more than {MAX_EXPANSION} times its size; "
                "expand it yourself if you trust it"
            )
        target.write(block)
