"""Results by chunks of a long input, which a kill cannot spoil.

The input is cut into chunks. What a chunk gives goes to ``OUT.partial/`` as soon as it
is there, and ``OUT`` is put together at the end: it is the same however often the work
was interrupted and whatever the number of processes.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ase_physml.errors import DataError
from ase_physml.jobs.disk import write_json, writing
from ase_physml.jobs.identity import digest
from ase_physml.jobs.pool import Processes, Workers
from ase_physml.jobs.resumable import ResumableJob

# At least so many chunks where the input has as many items: all processes have work.
_CHUNKS = 8

Keep = Callable[[Path, int, Sequence[Any], Any], Any]
"""Function from a stem for files, the first index, the chunk and its result to what
JSON keeps of it; whatever it writes into files begins with the stem."""


class Chunks(ResumableJob):
    """Results of finished chunks, see `ResumableJob`."""

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
            items: Input, cut with slices, the same at every run.
            most: Items of a chunk, at most.
            work: Function from a chunk to its result; see `Workers`.
            keep: Function called here for each result.
            processes: Number of processes; 1 works here. More need
                ``if __name__ == "__main__":`` in a script.
            workers: Workers elsewhere instead; results are then lists with one for each
                item, `Lost` for those that workers died of.
            tell: Function called with the number of items just finished.

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
            with writing(self.folder):
                record = keep(self._stem(start), start, chunk, result)
                # Last, since its presence says that the chunk is done.
                content = {"checksum": digest(list(chunk)), "record": record}
                write_json(_record(self._stem(start)), content)
            tell(len(chunk))
        stems = map(self._stem, starts)
        return [(stem, _read(_record(stem))["record"]) for stem in stems]

    def _stem(self, start: int) -> Path:
        return self.folder / f"{start}"

    def _missing(
        self, items: Sequence[Any], starts: range, tell: Callable[[int], None]
    ) -> Iterator[tuple[int, Sequence[Any]]]:
        """Chunks without a result, each with its first index."""
        for start in starts:
            chunk = items[start : start + starts.step]
            path = _record(self._stem(start))
            if not path.exists():
                yield start, chunk
            elif _read(path)["checksum"] == digest(list(chunk)):
                tell(len(chunk))
            else:
                raise DataError(
                    f"{self.folder}: item {start} or one soon after is not what it was "
                    "when this job was interrupted; remove the folder to start over"
                )


def _record(stem: Path) -> Path:
    return stem.with_suffix(".json")


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
