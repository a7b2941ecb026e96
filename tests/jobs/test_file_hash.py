"""A file is its content, whatever it is called."""

import hashlib
import os
from pathlib import Path

import pytest

from ase_physml.jobs import file_hash
from ase_physml.jobs.file_hash import cached_sha256, content_hash, sha256


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    expected = hashlib.sha256(b"content").hexdigest()
    assert sha256(path) == cached_sha256(path) == expected
    assert content_hash(path) == f"sha256 {expected}"
    path.write_bytes(b"another")
    os.utime(path, ns=(1, 1))
    assert cached_sha256(path) == sha256(path) != expected


def test_large_files_are_looked_at_all_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_hash, "_WHOLE", 100)
    monkeypatch.setattr(file_hash, "_PIECE", 8)
    path = tmp_path / "large"
    whole = bytearray(4096)
    path.write_bytes(whole)
    first = content_hash(path)
    for place in (0, 2048, 4095):
        changed = bytearray(whole)
        changed[place] = 1
        path.write_bytes(changed)
        assert content_hash(path) != first
    path.write_bytes(whole + b"\0")
    assert content_hash(path) != first
