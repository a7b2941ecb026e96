"""Text of files: UTF-8, what spreadsheets write, or Latin-1."""

import warnings
from pathlib import Path

from ase_physml.errors import DataError

_BYTE_ORDER = {
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"\xef\xbb\xbf": "utf-8-sig",
}


def decode(line: bytes) -> str:
    """Line of UTF-8, or else of Latin-1, which gives every byte a character."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, without their ends.

    UTF-8 with or without a byte order mark, UTF-16 with one; a file that is neither
    is read as Latin-1, with a warning.

    Raises:
        DataError: No such file, or no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = (
            "no such file" if not path.exists() else (error.strerror or "unreadable")
        )
        raise DataError(f"{path}: {reason}") from error
    try:
        coding = _BYTE_ORDER.get(content[:2]) or _BYTE_ORDER.get(content[:3], "utf-8")
        text = content.decode(coding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
        if "\0" not in text:
            warnings.warn(
                f"{path}: not UTF-8, so read as Latin-1; look at letters with accents",
                stacklevel=2,
            )
    if "\0" in text:
        raise DataError(f"{path}: not a text file (it holds binary data)")
    # Not splitlines: it also cuts at characters that may stand in a name.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
