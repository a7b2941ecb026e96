"""Work on a long input that a kill cannot spoil.

The input is cut into chunks. What a chunk gives goes to ``OUT.partial/`` as soon as it
is there, and ``OUT`` is put together at the end: it is the same however often the work
was interrupted and whatever the number of processes.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ase_physml.data.workers import Processes, Workers
from ase_physml.errors import DataError
from ase_physml.jobs.disk import writing
from ase_physml.jobs.identity import Identity, digest
from ase_physml.jobs.locking import lock

AFRESH = "finish that run, or start over with --overwrite or remove the folder"
_GO_ON = "run the same command again to go on"
# At least so many chunks where the input has as many items: all processes have work.
_CHUNKS = 8

Keep = Callable[[Path, int, Sequence[Any], Any], Any]
"""From a stem for files, the first index, the chunk and its result to what JSON keeps
of it; whatever it writes into files begins with the stem."""


class Chunks:
    """What finished chunks gave, in ``OUT.partial/``.

    Args:
        out: File that is made of them in the end.
        job: What is done.
        resume: Go on with an interrupted run of the same job; else refuse one.
        afresh: Forget an interrupted run.

    Raises:
        DataError: The folder holds another job, or one that shall not be resumed, or
            another process is at it.
    """

    def __init__(
        self, out: Path, job: Identity, *, resume: bool, afresh: bool = False
    ) -> None:
        self.folder = out.with_name(out.name + ".partial")
        with writing(self.folder, _GO_ON):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / "lock").open("ab")
        try:
            with writing(self.folder, _GO_ON):
                self._claim(job, resume, afresh)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.close()

    def run(
        self,
        items: Sequence[Any],
        most: int,
        work: Callable[[Any], Any],
        keep: Keep,
        *,
        processes: int = 1,
        workers: Workers | None = None,
        tell: Callable[[int], None] | None = None,
    ) -> list[tuple[Path, Any]]:
        """Work on the chunks that are missing.

        Args:
            items: The input, cut with slices, the same at every run.
            most: Items of a chunk, at most.
            work: From a chunk to its result; see `Workers`.
            keep: Called here for each result.
            processes: 1 works here. More need ``if __name__ == "__main__":`` in a
                script.
            workers: To work elsewhere instead; results are then lists with one for each
                item, `Lost` for those that workers died of.
            tell: Called with the number of items just finished.

        Returns:
            For each chunk, in order, its stem and what ``keep`` returned.

        Raises:
            DataError: An item is not what it was, a process died, or the disk is full.
        """
        size = max(1, min(most, len(items) // _CHUNKS))
        tell = tell or (lambda _: None)
        starts = range(0, len(items), size)
        missing = self._missing(items, starts, tell)
        places = workers or Processes(processes)
        for start, chunk, result in places.map_units(work, missing):
            with writing(self.folder, _GO_ON):
                record = keep(self._stem(start), start, chunk, result)
                # Last, since its presence says that the chunk is done.
                content = {"checksum": digest(list(chunk)), "record": record}
                _write_json(_record(self._stem(start)), content)
            tell(len(chunk))
        stems = map(self._stem, starts)
        return [(stem, _read_json(_record(stem))["record"]) for stem in stems]

    def remove(self) -> None:
        """Delete the folder, once its content is safe elsewhere."""
        self._lock.close()
        shutil.rmtree(self.folder)

    def _stem(self, start: int) -> Path:
        return self.folder / f"{start}"

    def _claim(self, job: Identity, resume: bool, afresh: bool) -> None:
        if not lock(self._lock):
            raise DataError(
                f"{self.folder}: another process is at this job; wait for it"
            )
        path = self.folder / "job.json"
        if afresh:
            for each in self.folder.iterdir():
                if each.name != "lock":
                    each.unlink()
        if path.exists() and not resume:
            raise DataError(
                f"{self.folder}: holds an interrupted run; resume it, or remove the "
                "folder to start over"
            )
        job.claim(path, AFRESH)

    def _missing(
        self, items: Sequence[Any], starts: range, tell: Callable[[int], None]
    ) -> Iterator[tuple[int, Sequence[Any]]]:
        """Chunks without a result, each with its first index."""
        for start in starts:
            chunk = items[start : start + starts.step]
            path = _record(self._stem(start))
            if not path.exists():
                yield start, chunk
            elif _read_json(path)["checksum"] == digest(list(chunk)):
                tell(len(chunk))
            else:
                raise DataError(
                    f"{self.folder}: item {start} or one soon after is not what it was "
                    "when this job was interrupted; remove the folder to start over"
                )


def _record(stem: Path) -> Path:
    return stem.with_suffix(".json")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _write_json(path: Path, content: object) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(content), "utf-8")
    partial.replace(path)
