"""The same work on many things, in this process or in several.

`Workers` is what all that works on many things asks for: `Processes` of this machine
here, those of a cluster in `ase_physml.data.dask_workers`.
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
from functools import lru_cache
from itertools import islice
from threading import Thread
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from ase import Atoms

from ase_physml.data.atoms import result_of, to_atoms
from ase_physml.data.columns import BY_NAME
from ase_physml.data.frame import Evaluation, Frame
from ase_physml.data.journal import Result
from ase_physml.errors import DataError

Maker = Callable[[str], Any]
"""From a name to an ASE calculator; a function at the top level of a module."""

Job = TypeVar("Job")
Done = TypeVar("Done")

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Enough to keep workers busy, and few enough that memory stays bounded.
_PENDING_PER_PROCESS = 8


class Lost(NamedTuple):
    """What became of a job whose worker died of it, again and again.

    Attributes:
        reason: What is known, for people.
    """

    reason: str


class Workers(Protocol):
    """Where units of jobs are worked on."""

    def map_units(
        self,
        work: Callable[[Sequence[Job]], Sequence[Done]],
        units: Iterable[tuple[int, Sequence[Job]]],
    ) -> Iterator[tuple[int, Sequence[Job], Sequence[Done | Lost]]]:
        """Results in the order in which units are ready.

        Args:
            work: From jobs to as many results: a function at the top level of a module,
                or a partial of one. It, jobs and results travel between processes.
            units: A number of each, to tell it by, and its jobs.

        Raises:
            DataError: Nobody is left to work, and what to do.
        """
        ...


@dataclass(frozen=True)
class Processes:
    """Processes of this machine, with one thread each; 1 works in this one."""

    count: int = 1

    def map_units(
        self,
        work: Callable[[Sequence[Job]], Sequence[Done]],
        units: Iterable[tuple[int, Sequence[Job]]],
    ) -> Iterator[tuple[int, Sequence[Job], Sequence[Done | Lost]]]:
        """As of `Workers`; a process that dies ends it with an error."""
        return run_all(units, work, self.count)


def in_units(
    jobs: Iterable[tuple[int, Job]], size: int
) -> Iterator[tuple[int, list[tuple[int, Job]]]]:
    """Numbered jobs in units of a size, each with the number of its first."""
    rest = iter(jobs)
    while unit := list(islice(rest, size)):
        yield unit[0][0], unit


def compute_each(
    make: Maker, name: str, version: str, frames: Sequence[tuple[int, Frame]]
) -> list[Result]:
    """Energy and forces of every one of numbered structures.

    Args:
        make: Builds the calculator, once in each process.
        name: Of the calculator, for ``make``.
        version: Tells it from an earlier one of its name, which a process may have.
        frames: Number and structure.
    """
    return [compute(make, name, version, frame) for _, frame in frames]


def run_all(
    jobs: Iterable[tuple[int, Job]], work: Callable[[Job], Done], processes: int
) -> Iterator[tuple[int, Job, Done]]:
    """Results in the order in which they are ready.

    Args:
        jobs: Index and what to work on.
        work: Function at the top level of a module, or a partial of one; both it and
            what it returns travel between processes.
        processes: 1 works here; more start that many, with one thread each.

    Raises:
        DataError: A process died.
    """
    if processes == 1:
        for index, job in jobs:
            yield index, job, work(job)
        return
    with _single_threaded():
        yield from _in_processes(jobs, work, processes)


def compute(make: Maker, name: str, version: str, frame: Frame) -> Result:
    """What a calculator says of one structure, or the reason why it says nothing."""
    calculator = _calculator(make, name, version)
    atoms = to_atoms(frame, labels=False)
    atoms.calc = calculator
    try:
        # A fresh start each time: otherwise a result would depend, in its last digits,
        # on which structures the process saw before.
        if hasattr(calculator, "reset"):
            calculator.reset()
        energy = float(atoms.get_potential_energy())
        # Of atoms that are held too: labels are what acts, not what may move.
        forces = atoms.get_forces(apply_constraint=False)
    except Exception as error:
        # Calculators raise anything; the other structures should not pay for it.
        return f"{type(error).__name__}: {error}"
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        return "the calculator returned NaN or infinity"
    return Evaluation(energy, forces, **_at_hand(atoms, calculator))


def _at_hand(atoms: Atoms, calculator: Any) -> dict[str, Any]:
    """Labels that came with the energy; none is worth a calculation of its own."""
    results = dict(getattr(calculator, "results", {}))
    if results.get("forces_std") is not None:
        stds = np.linalg.norm(results["forces_std"], axis=1)
        results["spread"] = float(stds.max())
    optional = Evaluation._field_defaults
    return {name: result_of(BY_NAME[name], atoms, results) for name in optional}


@lru_cache(maxsize=1)
def _calculator(make: Maker, name: str, version: str) -> Any:  # noqa: ARG001 - a key
    return make(name)


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
    """A worker whose parent was killed would otherwise wait for work forever."""
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
    """One thread per process; read when a library loads, so set before they start."""
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
