"""Pool of processes: the same work on many things, here or in several processes.

`Workers` is what every job asks for: `Processes` of this machine are here, those of a
cluster in `ase_physml.jobs.dask`.
"""

import multiprocessing as mp
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any, NamedTuple, Protocol, TypeVar

from ase_physml.errors import DataError

Job = TypeVar("Job")
Done = TypeVar("Done")

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Enough to keep workers busy, and few enough that memory stays bounded.
_PENDING_PER_PROCESS = 8


class Lost(NamedTuple):
    """Outcome of a job whose worker died of it, again and again.

    Attributes:
        reason: Cause as far as it is known, for people.
    """

    reason: str


class Workers(Protocol):
    """Processes that work on units of jobs."""

    def map_units(
        self,
        work: Callable[[Sequence[Job]], Sequence[Done]],
        units: Iterable[tuple[int, Sequence[Job]]],
    ) -> Iterator[tuple[int, Sequence[Job], Sequence[Done | Lost]]]:
        """Results in the order in which units are ready.

        Args:
            work: Function from jobs to as many results, at the top level of a module,
                or a partial of one. It, jobs and results travel between processes.
            units: Units of jobs, each with a number to tell it by.

        Raises:
            DataError: Nobody is left to work, and what to do.
        """
        ...


@dataclass(frozen=True)
class Processes:
    """Processes of this machine, with one thread each.

    Attributes:
        count: Number of processes; 1 works in this one.
    """

    count: int = 1

    def map_units(
        self,
        work: Callable[[Sequence[Job]], Sequence[Done]],
        units: Iterable[tuple[int, Sequence[Job]]],
    ) -> Iterator[tuple[int, Sequence[Job], Sequence[Done | Lost]]]:
        """Results as of `Workers`.

        Raises:
            DataError: A process died.
        """
        if self.count == 1:
            for number, jobs in units:
                yield number, jobs, work(jobs)
            return
        with _single_threaded():
            yield from _in_processes(units, work, self.count)


class StandingPool:
    """Processes of this machine for many short batches of work, one thread each.

    They start at the first batch and end with this process.

    Args:
        count: Number of processes.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def map(self, work: Callable[[Job], Done], jobs: Sequence[Job]) -> list[Done]:
        """Results in the order of the jobs.

        Args:
            work: Function at the top level of a module, or a partial of one.
            jobs: Jobs; they and results travel between processes.

        Raises:
            DataError: A process died.
        """
        with _single_threaded():  # read when a process starts, at the first jobs
            if self._pool is None:
                context = mp.get_context("spawn")
                self._pool = ProcessPoolExecutor(self.count, context, _end_with_parent)
            try:
                return list(self._pool.map(work, jobs))
            except BrokenProcessPool as error:
                self._pool = None
                raise DataError(
                    "a process died at its work (killed, out of memory, or a crash); "
                    "run again with fewer processes if memory was short"
                ) from error

    def __getstate__(self) -> dict[str, Any]:
        return {"count": self.count, "_pool": None}


def _in_processes(
    jobs: Iterable[tuple[int, Job]], work: Callable[[Job], Done], processes: int
) -> Iterator[tuple[int, Job, Done]]:
    # Spawned, since a fork copies locked threads and open files of this process.
    context = mp.get_context("spawn")
    others = set(mp.active_children())
    with ProcessPoolExecutor(processes, context, _end_with_parent) as pool:
        pending: dict[Future[Done], tuple[int, Job]] = {}
        try:
            for index, job in jobs:
                pending[pool.submit(work, job)] = (index, job)
                if len(pending) >= _PENDING_PER_PROCESS * processes:
                    yield from _collect(pending)
            while pending:
                yield from _collect(pending)
        except (KeyboardInterrupt, GeneratorExit):
            # Nobody waits for what they are at.
            for process in set(mp.active_children()) - others:
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _collect(
    pending: dict[Future[Done], tuple[int, Job]],
) -> Iterator[tuple[int, Job, Done]]:
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        index, job = pending.pop(future)
        try:
            result = future.result()
        except BrokenProcessPool as error:
            raise DataError(
                f"a process died near frame {index} (killed, out of memory, or a "
                "crash); finished results are kept, run the same command "
                "again, with fewer processes if memory was short"
            ) from error
        yield index, job, result


def _end_with_parent() -> None:
    """End of a worker whose parent was killed: it would wait for work forever."""
    # Ctrl-C is for the parent, which ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = mp.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


@contextmanager
def _single_threaded() -> Iterator[None]:
    """One thread a process: the environment is read when libraries load."""
    before = {key: os.environ.get(key) for key in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
