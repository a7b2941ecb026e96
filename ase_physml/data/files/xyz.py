"""Extended XYZ: every frame, and texts in ``info`` that come back as they were.

ASE writes texts as they are but reads backslashes as escapes, ``F`` as a boolean and
``007`` as a number, and stops at an empty line.
"""

import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms
from ase.io.extxyz import key_val_dict_to_str, key_val_str_to_dict

from ase_physml.data.files.limits import check_atoms
from ase_physml.data.files.text import decode
from ase_physml.errors import DataError
from ase_physml.jobs.disk import atomic_write

# Columns of one property; more are a mistake, and ASE would list them.
_MAX_COLUMNS = 10_000
_COLUMNS = re.compile(r"Properties\s*=\s*\"?([^\"\s]+)")
_CLOSING = {"'": "'", '"': '"', "{": "}", "[": "]"}


def read_xyz(path: Path) -> Iterator[Atoms]:
    """Frames of a file, plain or extended; empty lines between them do not count.

    Raises:
        DataError: Naming the line.
    """
    with path.open("rb") as file:
        size, number = path.stat().st_size, 0
        line = file.readline().removeprefix(b"\xef\xbb\xbf")
        while line:
            number += 1
            if not line.strip():
                line = file.readline()
                continue
            count = _count(path, number, line)
            check_atoms(path, count, size - file.tell(), f"line {number}")
            comment = decode(file.readline()).strip()
            lines = [file.readline() for _ in range(count)]
            last = number + 1 + count
            line = file.readline()
            while line.startswith(b"VEC"):
                lines.append(line)
                last, line = last + 1, file.readline()
            yield _frame(path, number, count, comment, lines)
            number = last


def write_xyz(path: Path, structures: Sequence[Atoms]) -> None:
    """Write extended XYZ; the file appears under its name when it is complete.

    `ase.io.read` gives every text in ``info`` back as it was.
    """
    with atomic_write(path) as partial:
        ase.io.write(partial, [*map(_written, structures)], format="extxyz")


def _count(path: Path, number: int, line: bytes) -> int:
    try:
        count = int(line)
    except ValueError:
        count = -1
    if count < 0:
        text = decode(line).strip()[:40]
        raise DataError(
            f"{path}: line {number} should be the number of atoms of a structure, but "
            f"is {text!r}"
        )
    return count


def _frame(
    path: Path, number: int, count: int, comment: str, lines: list[bytes]
) -> Atoms:
    for k, line in enumerate(lines):
        if not line.strip():
            raise DataError(
                f"{path}: line {number + 2 + k} is empty or missing, but line {number} "
                f"announces {count} atoms"
            )
    columns = _COLUMNS.search(comment)
    widths = [
        w for w in (columns[1] if columns else "").split(":")[2::3] if w.isdigit()
    ]
    if sum(map(int, widths)) > _MAX_COLUMNS:
        raise DataError(f"{path}: line {number + 1} claims too many columns")
    text = "".join(decode(line).rstrip() + "\n" for line in lines)
    whole = f"{count}\n{_repaired(comment)}\n{text}"
    try:
        frame = ase.io.read(io.StringIO(whole), format="extxyz")
    except Exception as error:
        # ASE's readers raise whatever their parser stumbles on.
        raise DataError(
            f"{path}: the structure in line {number} cannot be read "
            f"({type(error).__name__}: {error})"
        ) from error
    assert isinstance(frame, Atoms)
    return frame


def _repaired(comment: str) -> str:
    """Comment with backslashes doubled that escape nothing: as ASE writes texts."""
    out, closing, k = [], "", 0
    while k < len(comment):
        one, after = comment[k], comment[k + 1 : k + 2]
        k += 1
        if one == "\\":
            if after and after in ('"\\' if closing else "\"'\\{}[]=, "):
                out.append(one + after)
                k += 1
            else:
                out.append("\\\\")
            continue
        if closing:
            closing = "" if one == closing else closing
        else:
            closing = _CLOSING.get(one, "")
        out.append(one)
    return "".join(out)


def _written(atoms: Atoms) -> Atoms:
    """Copy whose ``info`` ASE writes so that it reads the same."""
    copy: Atoms = atoms.copy()
    copy.calc = atoms.calc
    # ASE reads a key without a value as true.
    kept = {key: value for key, value in atoms.info.items() if value is not None}
    copy.info = {key: _escaped(key, value) for key, value in kept.items()}
    return copy


def _escaped(key: str, value: Any) -> Any:
    if isinstance(value, str):
        for trial in (value, value.replace("\\", "\\\\")):
            if _is_plain(value) and _comes_back(key, trial, value):
                return trial
    elif not isinstance(value, list | tuple | dict):
        return value
    try:
        return ("_JSON " + json.dumps(value)).replace("\\", "\\\\")
    except (TypeError, ValueError):
        return value


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _comes_back(key: str, written: str, meant: str) -> bool:
    # Between others, since some texts swallow what follows.
    line = key_val_dict_to_str({"before": 1, key: written, "after": 2})
    try:
        read = key_val_str_to_dict(line)
    except ValueError:
        return False
    wanted = {"before": 1, key: meant, "after": 2}
    return isinstance(read.get(key), str) and read == wanted
