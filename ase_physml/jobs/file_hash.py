"""SHA-256 of files: what a potential, a set or a split is, whatever it is called."""

import hashlib
from functools import lru_cache
from pathlib import Path

FILE_HASH = "sha256 "
"""Beginning of what `content_hash` returns."""

# Of larger files, pieces of this size all along are looked at.
_WHOLE, _PIECES, _PIECE = 2**31, 512, 2**20


def sha256(path: Path) -> str:
    """SHA-256 of a whole file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached_sha256(path: Path) -> str:
    """SHA-256 of a file that is asked for often: once for each of many structures.

    It is read again if its size, its time of change or its inode are others.
    """
    about = path.stat()
    return _sha256(path, about.st_mtime_ns, about.st_size, about.st_ino)


def content_hash(path: Path) -> str:
    """SHA-256 of a file, after a word; above 2 GiB, of its size and 512 pieces."""
    size = path.stat().st_size
    if size <= _WHOLE:
        return f"{FILE_HASH}{sha256(path)}"
    with path.open("rb") as file:
        digest = hashlib.sha256(str(size).encode())
        for k in range(_PIECES):
            file.seek((size - _PIECE) * k // (_PIECES - 1))
            digest.update(file.read(_PIECE))
    return f"{FILE_HASH}of pieces {digest.hexdigest()}"


@lru_cache(maxsize=32)
def _sha256(path: Path, *_about: int) -> str:
    return sha256(path)
