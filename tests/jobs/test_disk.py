"""A full disk is one clear line, and what was finished stays."""

import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ase_physml.calculators.names import make_calculator
from ase_physml.data.frame import Frame
from ase_physml.data.label import label
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError
from ase_physml.jobs import disk

META = Metadata("EMT", equilibrium=False)
# Files of the child may not grow beyond this: as full a disk as one can have anywhere.
LIMIT = 20_000


def frames() -> list[Frame]:
    random = np.random.default_rng(0)
    return [Frame(np.full(20, 6), 5 * random.normal(size=(20, 3))) for _ in range(60)]


def test_a_journal_that_finds_no_room(tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    child = subprocess.run(
        [sys.executable, __file__, out], capture_output=True, text=True, check=False
    )
    said = child.stderr.strip().splitlines()[-1]
    assert "out.h5.partial: cannot be written (File too large)" in said
    assert "make room, and run the same command again" in said
    report = label(frames(), out, make_calculator, "emt", META)
    assert 0 < report.resumed < 60
    whole = tmp_path / "whole.h5"
    label(frames(), whole, make_calculator, "emt", META)
    assert out.read_bytes() == whole.read_bytes()


def test_a_set_that_finds_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.h5"
    with monkeypatch.context() as full:
        full.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
        with pytest.raises(DataError, match=r"cannot be written \(No space left"):
            label(frames(), out, make_calculator, "emt", META)
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5.partial"]
    assert label(frames(), out, make_calculator, "emt", META).resumed == 60


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    disk.write_json(path, {"a": [1, 2]})
    assert path.read_text() == '{"a": [1, 2]}\n'

    def fail(error: type[BaseException]) -> None:
        with disk.atomic_write(path, sync=True) as partial:
            partial.write_text("half of")
            assert path.read_text() == '{"a": [1, 2]}\n'
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            fail(error)
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]
    with disk.atomic_write(path, sync=True) as partial:
        partial.write_text("all of it")
        assert partial.name == "a.json.part"
    assert path.read_text() == "all of it"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    label(frames(), sys.argv[1], make_calculator, "emt", META)
