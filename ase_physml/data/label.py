"""Labels of a set from any ASE calculator, or its own less a calculator's.

Resumable after a kill.

Each result goes to a journal in ``OUT.partial/`` as soon as it is there. The set is put
together at the end, in the order of the input, and is the same however often the run
was interrupted and whatever the number of processes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ase_physml.data.columns import COLUMNS, Column
from ase_physml.data.frame import Evaluation, Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.results import (
    Maker,
    Result,
    checksum,
    compute_each,
    pack_result,
    unpack_result,
)
from ase_physml.data.writer import Precision, RaggedWriter
from ase_physml.errors import DataError
from ase_physml.jobs.failures import Failure, list_failures
from ase_physml.jobs.identity import CALLED, Identity
from ase_physml.jobs.journal import Journal
from ase_physml.jobs.pool import Lost, Processes, Workers

_FORMAT = 1
# Frames that travel together to a worker elsewhere: enough to pay for the way.
_UNIT = 16


@dataclass(frozen=True)
class Report:
    """Counts of a labelling, and its failures.

    Attributes:
        labelled: Number of frames in the set.
        resumed: Number of results that were there from an earlier run.
        failures: Frames left out, also listed in ``OUT.failures.csv``.
    """

    labelled: int
    resumed: int
    failures: list[Failure]


Combine = Callable[[Frame, Evaluation], Frame]


def replaced(frame: Frame, result: Evaluation) -> Frame:
    """Frame with the calculator's labels in place of its own."""
    return replace(frame, **result._asdict())


def less(frame: Frame, result: Evaluation) -> Frame:
    """Frame with its labels less the calculator's; those that do not add up are its."""
    rest = {c.field: _rest(frame, result, c) for c in COLUMNS if c.adds}
    return replace(replaced(frame, result), **rest)


def _rest(frame: Frame, result: Evaluation, column: Column) -> Any:
    """Label less the calculator's, None unless both have it."""
    own, its = getattr(frame, column.field), getattr(result, column.name)
    return None if own is None or its is None else own - its


def less_at_rest(frame: Frame, result: Evaluation) -> Frame:
    """`less` of a stationary point: forces that nobody wrote down are zero there.

    Where some atoms were held, what held them is not known, and forces stay out.
    """
    if frame.forces is None and frame.fixed is None:
        frame = replace(frame, forces=np.zeros_like(result.forces))
    return less(frame, result)


def plan(
    given: Metadata,
    file: str,
    calculator: str,
    level_of_theory: str | None = None,
    *,
    subtract: bool = False,
) -> tuple[Metadata, Combine]:
    """Metadata of a set to be labelled, and how frames and results are combined.

    Args:
        given: Metadata of the input.
        file: Name of the input, where it states no source.
        calculator: Name of the calculator.
        level_of_theory: Method and basis of the labels, where it is not the name of the
            calculator; less a baseline, where the input does not state it.
        subtract: Take the calculator as a baseline, whose labels come off the set's.

    Raises:
        DataError: A baseline comes off labels already, or there is nothing to take it
            from.
    """
    origin = given.source or file
    if not subtract:
        level = level_of_theory or calculator.partition(":")[2] or calculator
        source = f"{origin}, labelled with {calculator}"
        return Metadata(level, equilibrium=False, source=source), replaced
    if given.baseline:
        raise DataError(
            f"{file}: its labels are what {given.baseline} leaves over already; start "
            "from the set before that"
        )
    metadata = replace(
        given,
        level_of_theory=level_of_theory or given.level_of_theory,
        equilibrium=False,
        source=f"{origin}, less {calculator}",
        baseline=calculator,
        # Forces there are labels now, but nothing else was seen than minima; unless
        # the set says that its stationary points are not only those.
        extra={**({"minima": True} if given.equilibrium else {}), **given.extra},
    )
    return metadata, less_at_rest if given.equilibrium else less


def label(
    frames: Iterable[Frame],
    out: str | Path,
    make: Maker,
    calculator: str,
    metadata: Metadata,
    *,
    combine: Combine = replaced,
    processes: int = 1,
    workers: Workers | None = None,
    precision: Precision = "f8",
    made_of: Mapping[str, Any] | None = None,
    afresh: bool = False,
    on_frames: Callable[[int], None] | None = None,
) -> Report:
    """Label frames and write them as a set.

    Args:
        frames: Structures; iterated twice, in the same order at every run.
        out: Set to write; replaced if it exists, and only when complete.
        make: Function from ``calculator`` to an ASE calculator, once in each process; a
            function at the top level of a module.
        calculator: Name of it; an interrupted run goes on only with the same one.
        metadata: Metadata of the set.
        combine: Function of a frame and the calculator's result; `less` and
            `less_at_rest` leave the difference to the frame's own labels.
        processes: Worker processes, with one thread each; 1 computes in this one.
            More need ``if __name__ == "__main__":`` in a script.
        workers: Workers elsewhere instead, such as `DaskWorkers`.
        precision: Dtype of positions and forces in the set.
        made_of: Identity of the calculator, as
            `ase_physml.calculators.provenance.identity_of` gives it; by default its
            name.
        afresh: Forget what an interrupted run left.
        on_frames: Function called with the number of frames just finished.

    Raises:
        DataError: No frame could be labelled, a process died, or an interrupted run
            used another calculator or input.
    """
    if processes < 1:
        raise DataError(f"{processes} processes compute nothing; give 1 or more")
    if iter(frames) is frames:
        raise DataError("frames can be iterated only once; pass a list or a set")
    out = Path(out)
    tell = on_frames or _nobody
    # Fails here, with a plain message, rather than in every worker.
    make(calculator)
    about = {CALLED: calculator, **(made_of or {"name": calculator})}
    job = Identity.of("label", _FORMAT, calculator=about)
    with Journal(out, job, pack_result, unpack_result, afresh=afresh) as journal:
        resumed = journal.count
        tell(resumed)
        missing = (
            (k, frame)
            for k, frame in enumerate(frames)
            if not journal.has(k, checksum(frame))
        )
        places = workers or Processes(processes)
        units = _in_units(missing, 1 if isinstance(places, Processes) else _UNIT)
        work = partial(compute_each, make, calculator, job.sha256)
        for _, unit, results in places.map_units(work, units):
            for (index, frame), result in zip(unit, results, strict=True):
                said = result.reason if isinstance(result, Lost) else result
                journal.add(index, checksum(frame), said)
            tell(len(unit))
        failures: list[Failure] = []
        with RaggedWriter(out, metadata, precision) as writer:
            writer.extend(_labelled(frames, journal, failures, combine))
            if not writer.n_frames and failures:
                raise DataError(
                    f"{out}: none of {len(failures)} frames could be labelled; the "
                    f"first: {failures[0].reason}"
                )
        journal.remove()
    list_failures(out, failures)
    return Report(writer.n_frames, resumed, failures)


def _nobody(count: int) -> None:  # noqa: ARG001 - nobody wants to know
    return


def _labelled(
    frames: Iterable[Frame],
    journal: Journal[Result],
    failures: list[Failure],
    combine: Combine,
) -> Iterator[Frame]:
    for index, frame in enumerate(frames):
        result = journal.get(index)
        if isinstance(result, str):
            failures.append(Failure(index, frame.name or "", result))
        else:
            yield combine(frame, result)


def _in_units(
    frames: Iterable[tuple[int, Frame]], size: int
) -> Iterator[tuple[int, list[tuple[int, Frame]]]]:
    """Numbered frames in units of a size, each with the number of its first."""
    rest = iter(frames)
    while unit := list(islice(rest, size)):
        yield unit[0][0], unit
