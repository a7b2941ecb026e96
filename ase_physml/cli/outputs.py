"""Rules for every ``--out``, and for verbs that are stopped.

What is there already is refused, unless ``--resume`` keeps what is done or
``--overwrite`` does it anew. What an interrupted run left goes on without being asked,
as long as it is the same work; see `ase_physml.jobs.identity`.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import typer

from ase_physml.errors import DataError
from ase_physml.jobs.disk import GO_ON, check_writable, partial_file, partial_folder
from ase_physml.jobs.locking import FolderLock

_EITHER = "--resume keeps what is there, --overwrite does not: give one of them"


class Terminated(KeyboardInterrupt):
    """Stop by SIGTERM, as from a queue whose time is over."""


class Place(NamedTuple):
    """Place of results.

    Attributes:
        going_on: Flag to keep what is there.
        begin: Function to call before any work: from then on it may be interrupted.
    """

    going_on: bool
    begin: Callable[[], None]


def check_file(
    out: Path | None, *, overwrite: bool, resume: bool = False, option: str = ""
) -> None:
    """Refuse a file that is there or cannot be written.

    Args:
        out: File to write, or None for nothing.
        overwrite: Flag to replace it.
        resume: Flag to replace it if an interrupted run was about to.
        option: Option that names it, if it is not ``OUT``.

    Raises:
        DataError: In one line.
    """
    if out is None:
        return
    where = f"{option} {out}" if option else str(out)
    if resume and overwrite:
        raise DataError(_EITHER)
    if out.is_dir():
        raise DataError(f"{where}: is a folder; name the file to write")
    begun = resume and partial_folder(out).exists()
    if out.exists() and not (overwrite or begun):
        raise DataError(f"{where}: exists; choose another name, or add --overwrite")
    check_writable(out)


def check_folder(folder: Path) -> None:
    """Refuse what is no folder, or one that cannot be written.

    Raises:
        DataError: In one line.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is a file; name the folder of results")
    check_writable(folder / "any")


@contextmanager
def results_in(
    folder: Path, results: Sequence[Path], *, resume: bool, overwrite: bool
) -> Iterator[Place]:
    """Folder of results, for this process alone.

    Args:
        folder: Folder, made if missing.
        results: Files in it that this run would write.
        resume: Flag to keep those.
        overwrite: Flag to do them anew.

    Yields:
        Place of the results; who has compared what is there with what is asked for
        says that work begins.

    Raises:
        DataError: Results that nobody asked to keep or replace, another process, or no
            folder that can be written.
    """
    if resume and overwrite:
        raise DataError(_EITHER)
    check_folder(folder)
    with FolderLock(folder) as claim:
        there = [path for path in results if path.exists()]
        if there and not (resume or overwrite or claim.interrupted):
            more = f" and {len(there) - 1:,} more" if len(there) > 1 else ""
            raise DataError(
                f"{there[0]}{more}: exists; --resume keeps what is done, --overwrite "
                "does it anew, or choose another --out"
            )
        if overwrite:
            claim.begin()
            for path in results:
                path.unlink(missing_ok=True)
                partial_file(path).unlink(missing_ok=True)
        yield Place(not overwrite and (resume or claim.interrupted), claim.begin)


def kept_beside(out: Path) -> str:
    """Advice for a file that is put together at the end: what of it is kept."""
    return (
        f"finished results are kept in {partial_folder(out).name} beside {out}; {GO_ON}"
    )


@contextmanager
def stoppable(kept: str) -> Iterator[None]:
    """Stop at SIGTERM as at Ctrl-C, and say in a line what is kept.

    Args:
        kept: Text of what is kept, and how to go on.

    Raises:
        typer.Exit: Of code 143 or 130, as shells know them.
    """
    with _terminable():
        try:
            yield
        except KeyboardInterrupt as error:
            by_signal = isinstance(error, Terminated)
            by = "SIGTERM" if by_signal else "Ctrl-C"
            typer.echo(f"stopped by {by}: {kept}", err=True)
            raise typer.Exit(143 if by_signal else 130) from None


@contextmanager
def _terminable() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are for the main thread
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, _frame: FrameType | None) -> None:
    # A second one finds no patience.
    signal.signal(number, signal.SIG_DFL)
    raise Terminated
