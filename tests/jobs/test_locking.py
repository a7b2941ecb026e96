"""One process at a time; what a killed one left keeps nobody out."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ase_physml.errors import DataError
from ase_physml.jobs.disk import check_writable
from ase_physml.jobs.locking import FolderLock, lock

HOLD = """
import sys, time
from pathlib import Path
from ase_physml.jobs.locking import FolderLock
with FolderLock(Path(sys.argv[1])) as claim:
    claim.begin()
    print("held", flush=True)
    time.sleep(600)
"""


def test_another_process_is_refused_until_it_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(DataError, match="another process is writing there"):
            FolderLock(folder).__enter__()
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with FolderLock(folder) as claim:
        assert claim.interrupted
        claim.begin()
    assert not folder.exists() or not list(folder.iterdir())
    with FolderLock(folder) as claim:
        assert not claim.interrupted


def test_within_one_process(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(DataError, match="another process"):
        FolderLock(tmp_path).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_work_that_did_not_end_is_interrupted(tmp_path: Path) -> None:
    def stop(begin: bool) -> None:
        with FolderLock(tmp_path / "out") as claim:
            if begin:
                claim.begin()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop(begin=False)  # a refusal: as if nobody had been there
    assert not (tmp_path / "out").exists()
    with pytest.raises(KeyboardInterrupt):
        stop(begin=True)
    with pytest.raises(KeyboardInterrupt):
        stop(begin=False)
    with FolderLock(tmp_path / "out") as claim:
        assert claim.interrupted


def test_one_handle_has_a_file_until_it_is_closed(tmp_path: Path) -> None:
    with (tmp_path / "file").open("ab") as first, first:
        assert lock(first)
        with (tmp_path / "file").open("ab") as second:
            assert not lock(second)
    with (tmp_path / "file").open("ab") as second:
        assert lock(second)


def test_where_no_file_can_be_locked_all_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("ase_physml.jobs.locking.lock_descriptor", refuse)
    with FolderLock(tmp_path / "out") as claim:
        claim.begin()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("by_another", [False, True])
def test_systems_that_keep_open_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_another: bool
) -> None:
    remove = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if by_another or not claim._file.closed:
            raise PermissionError(errno.EACCES, "in use", str(path))
        remove(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    with FolderLock(tmp_path / "out") as claim:
        claim.begin()
    assert (tmp_path / "out").exists() == by_another
    with FolderLock(tmp_path / "out") as claim:
        assert not claim.interrupted


def test_places_that_cannot_be_written_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check_writable(tmp_path / "new" / "folder" / "out.h5")
    assert not (tmp_path / "new").exists()
    for place in (tmp_path / "file" / "out.h5", Path("/proc/none/out.h5")):
        with pytest.raises(DataError, match=r"out\.h5: cannot be written"):
            check_writable(place)
    with pytest.raises(DataError, match="cannot be a folder of results"):
        FolderLock(tmp_path / "file" / "out").__enter__()
