"""Folder ``OUT.partial`` of a job that can be interrupted.

A file ``lock`` keeps other processes out, and ``job.json`` says what is done there;
what else is in it, `ase_physml.jobs.journal` and `ase_physml.jobs.chunks` say.
"""

import shutil
from pathlib import Path
from typing import Self

from ase_physml.errors import DataError
from ase_physml.jobs.disk import partial_folder, writing
from ase_physml.jobs.identity import Identity
from ase_physml.jobs.locking import lock

_AFRESH = "finish that run, or start over with --overwrite or remove the folder"


class ResumableJob:
    """Results of a job, for this process alone until the end of a ``with`` block.

    Args:
        out: File that is made of them in the end.
        job: Identity of the job.
        resume: Go on with an interrupted run of the same job; else refuse one.
        afresh: Forget an interrupted run.

    Attributes:
        folder: Folder of the results, made if missing.

    Raises:
        DataError: The folder holds another job, or one that shall not be resumed, or
            another process is at it.
        WriteError: The folder cannot be made.
    """

    def __init__(
        self, out: Path, job: Identity, *, resume: bool = True, afresh: bool = False
    ) -> None:
        self.folder = partial_folder(out)
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / "lock").open("ab")
        try:
            with writing(self.folder):
                self._enter(job, resume, afresh)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes in."""
        self._lock.close()

    def remove(self) -> None:
        """Delete the folder, once its content is safe elsewhere."""
        self.close()
        shutil.rmtree(self.folder)

    def _enter(self, job: Identity, resume: bool, afresh: bool) -> None:
        if not lock(self._lock):
            raise DataError(
                f"{self.folder}: another process is at this job; wait for it"
            )
        record = self.folder / "job.json"
        if afresh:
            for each in self.folder.iterdir():
                if each.name != "lock":
                    each.unlink()
        if record.exists() and not resume:
            raise DataError(
                f"{self.folder}: holds an interrupted run; resume it, or remove the "
                "folder to start over"
            )
        job.check_or_write(record, _AFRESH)
