"""Dask: workers on other machines, or on this one, that may die.

Results come back to this process as they are ready, and only it writes files. What a
worker was at when it died is done again by another.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Self

from ase_physml.errors import DataError
from ase_physml.jobs.pool import Done, Job, Lost

# Units under way for every thread of the workers: the next is there when one is done.
_AHEAD = 2
# Where no worker has come yet, so that those that come first find work.
_AT_LEAST = 8
# Of a unit that raised an error, as a file system that is away for a moment may do.
_RETRIES = 2
_LOCAL = {
    # Workers may die once at a unit before it is suspected.
    "distributed.scheduler.allowed-failures": 1,
    # Dask has memory given back to the system after every little use, and looks a
    # hundred times a second what a worker is at: a third of the time of small tensors.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.worker.profile.enabled": False,
}

_Unit = tuple[int, Sequence[Any]]


class DaskWorkers:
    """Workers of a Dask cluster, for as long as the ``with`` block.

    Args:
        scheduler: Cluster that runs: its address, such as ``tcp://node1:8786``, or
            the file that ``dask scheduler --scheduler-file`` wrote. Or ``local:N``, for
            N processes of this machine with one thread each; a script that asks for
            those needs ``if __name__ == "__main__":``.
        timeout: Seconds that the scheduler may take to answer.

    Raises:
        DataError: Dask is not installed, or no scheduler answers there.
    """

    def __init__(self, scheduler: str, timeout: float = 10.0) -> None:
        try:
            self._dask: Any = import_module("distributed")
        except ImportError as error:
            raise DataError(
                "a scheduler needs Dask: pip install 'ase-physml[dask]'"
            ) from error
        self.scheduler, self.timeout = scheduler, timeout

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            address = self._address(stack)
            try:
                asyncio.run(self._greeted(address))
            except (OSError, ValueError) as error:
                raise DataError(
                    f"no Dask scheduler answers at {self.scheduler} within "
                    f"{self.timeout:g} s; start one with `dask scheduler`, or use "
                    "local:N"
                ) from error
            client = self._dask.Client(
                address, timeout=self.timeout, set_as_default=False
            )
            self._client = stack.enter_context(client)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    @property
    def threads(self) -> int:
        """Number of units worked on at a time, now: workers come and go."""
        return sum(self._client.nthreads().values())

    def map_units(
        self,
        work: Callable[[Sequence[Job]], Sequence[Done]],
        units: Iterable[tuple[int, Sequence[Job]]],
    ) -> Iterator[tuple[int, Sequence[Job], Sequence[Done | Lost]]]:
        """Results as of `Workers`.

        Units at which workers kept dying are tried again at the end, job by job and
        with nothing beside them: only those that are to blame are `Lost`.

        Raises:
            DataError: The scheduler went away.
            PhysMLError: The work raised it, as where a potential is not there.
        """
        with self._lasting():
            suspects: list[_Unit] = []
            waiting = iter(units)
            pending: dict[Any, _Unit] = {}
            while self._submit(work, waiting, pending):
                for future in self._ready(pending):
                    number, jobs = pending.pop(future)
                    done = self._result(future)
                    if isinstance(done, Lost):
                        suspects.append((number, jobs))
                    else:
                        yield number, jobs, done
            for number, jobs in suspects:
                yield number, jobs, [self._alone(work, job) for job in jobs]

    def _submit(
        self,
        work: Callable[..., Any],
        waiting: Iterator[_Unit],
        pending: dict[Any, _Unit],
    ) -> bool:
        """Hand out units, few enough that memory stays bounded; whether any are out."""
        room = max(_AT_LEAST, _AHEAD * self.threads) - len(pending)
        for number, jobs in islice(waiting, max(0, room)):
            pending[self._handed_out(work, jobs)] = (number, jobs)
        return bool(pending)

    def _handed_out(self, work: Callable[..., Any], jobs: Sequence[Any]) -> Any:
        # Not pure: equal units are no reason to have the result of another run.
        return self._client.submit(work, jobs, pure=False, retries=_RETRIES)

    def _ready(self, pending: dict[Any, _Unit]) -> list[Any]:
        with self._client.as_current():
            return list(
                self._dask.wait(list(pending), return_when="FIRST_COMPLETED").done
            )

    def _result(self, future: Any) -> Any:
        try:
            return future.result()
        except self._dask.KilledWorker:
            return Lost(
                "its worker process died of it more than once: out of memory, killed, "
                "or a crash"
            )

    def _alone(self, work: Callable[..., Any], job: Any) -> Any:
        done = self._result(self._handed_out(work, [job]))
        return done if isinstance(done, Lost) else done[0]

    def _address(self, stack: ExitStack) -> str:
        """Address of the scheduler; local workers are closed with the stack."""
        kind, _, count = self.scheduler.partition(":")
        if kind != "local":
            file = Path(self.scheduler)
            return (
                json.loads(file.read_text())["address"]
                if file.is_file()
                else (self.scheduler)
            )
        if not count.isdigit() or int(count) < 1:
            raise DataError(f"{self.scheduler}: give local:N with N workers, 1 or more")
        dask = import_module("dask")
        stack.enter_context(dask.config.set(_LOCAL))
        cluster = self._dask.LocalCluster(
            n_workers=int(count),
            threads_per_worker=1,
            # Whoever reaches a scheduler can have anything computed: of this machine
            # only, the page about it too.
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
        )
        address: str = stack.enter_context(cluster).scheduler_address
        return address

    async def _greeted(self, address: str) -> None:
        """Raise where nobody answers: a client would go on trying for long."""
        security = self._dask.Security().get_connection_args("client")
        comm = await self._dask.comm.connect(address, timeout=self.timeout, **security)
        comm.abort()

    @contextmanager
    def _lasting(self) -> Iterator[None]:
        """Say what to do where the scheduler goes away."""
        try:
            yield
        except (OSError, TimeoutError, CancelledError) as error:
            raise DataError(
                f"the Dask scheduler at {self.scheduler} went away; finished results "
                "are kept, start a scheduler and run the same command again"
            ) from error
