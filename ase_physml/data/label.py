"""Energies and forces from any ASE calculator, in processes, resumable after a kill.

Frames are labelled in chunks. Each finished chunk is one file in ``OUT.partial/``,
written atomically, so that whatever ends a run costs at most the chunks under way; the
set itself is put together from the chunks at the end and is the same however often the
run was interrupted.
"""

import hashlib
import json
import multiprocessing as mp
import os
import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from ase.calculators.calculator import Calculator

from ase_physml.data.atoms import to_atoms
from ase_physml.data.frame import Frame
from ase_physml.data.ragged import Metadata
from ase_physml.data.writer import RaggedWriter
from ase_physml.errors import DataError

CalculatorFactory = Callable[[], Calculator]
Labelled = tuple[list[Frame], list[tuple[int, str]]]


@dataclass(frozen=True)
class Report:
    """What labelling did.

    Attributes:
        labelled: Frames in the set.
        resumed: Frames whose labels were there from an earlier run.
        failures: Position in the input and reason of each frame left out.
    """

    labelled: int
    resumed: int
    failures: list[tuple[int, str]]


def label(
    frames: Iterable[Frame],
    out: Path,
    factory: CalculatorFactory,
    metadata: Metadata,
    *,
    key: str,
    processes: int = 1,
    chunk: int = 64,
    on_frames: Callable[[int], None] | None = None,
) -> Report:
    """Label frames and write them as a set.

    Args:
        frames: Structures, in the same order at every run.
        out: Set to write.
        factory: Makes the calculator, once in each process; must be picklable.
        metadata: Of the set.
        key: Names the calculator: an interrupted run goes on only with the same one.
        processes: Worker processes.
        chunk: Frames per unit of work.
        on_frames: Called with the number of frames just finished.

    Raises:
        DataError: No frame could be labelled, or an interrupted run used another
            calculator, chunk size or input.
    """
    folder = out.with_name(out.name + ".partial")
    folder.mkdir(parents=True, exist_ok=True)
    journal = _Journal(folder, {"key": key, "chunk": chunk})
    resumed = 0
    context = mp.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start_worker, (factory,)) as pool:
        pending: dict[Future[Labelled], tuple[int, str, int]] = {}
        for number, part in enumerate(_chunks(frames, chunk)):
            digest = _digest(part)
            if journal.has(number, digest):
                resumed += len(part)
                _tell(on_frames, len(part))
                continue
            while len(pending) >= 2 * processes:
                _collect(pending, journal, on_frames)
            job = pool.submit(_label_chunk, part, number * chunk)
            pending[job] = (number, digest, len(part))
        while pending:
            _collect(pending, journal, on_frames)
    failures: list[tuple[int, str]] = []
    with RaggedWriter(out, metadata) as writer:
        for done, failed in journal.chunks():
            writer.extend(done)
            failures += failed
        if not writer.n_frames:
            reason = failures[0][1] if failures else "there are none"
            raise DataError(f"{out}: no frame could be labelled; the first: {reason}")
    shutil.rmtree(folder)
    return Report(writer.n_frames, resumed, failures)


class _Journal:
    """Finished chunks on disk."""

    def __init__(self, folder: Path, settings: dict[str, object]) -> None:
        self.folder = folder
        stored = folder / "settings.json"
        text = json.dumps(settings, sort_keys=True)
        if stored.exists() and stored.read_text() != text:
            raise DataError(
                f"{folder}: holds an interrupted run with {stored.read_text()}, not "
                f"{text}; finish that one, or remove the folder to start over"
            )
        _write(stored, text.encode())
        self.count = 0

    def has(self, number: int, digest: str) -> bool:
        """Whether this chunk is done; it must be of the same frames."""
        self.count = max(self.count, number + 1)
        path = self._path(number)
        if not path.exists():
            return False
        with path.open("rb") as file:
            stored = pickle.load(file)[0]
        if stored != digest:
            raise DataError(
                f"{self.folder}: holds an interrupted run over other frames; finish "
                "that one, or remove the folder to start over"
            )
        return True

    def add(self, number: int, digest: str, result: Labelled) -> None:
        """Store a finished chunk."""
        _write(self._path(number), pickle.dumps((digest, *result)))

    def chunks(self) -> Iterator[Labelled]:
        """All chunks in order."""
        for number in range(self.count):
            with self._path(number).open("rb") as file:
                _, done, failed = pickle.load(file)
            yield done, failed

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.pickle"


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _chunks(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    iterator = iter(frames)
    while part := list(islice(iterator, size)):
        yield part


def _digest(frames: list[Frame]) -> str:
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(frame.numbers.tobytes() + frame.positions.tobytes())
    return digest.hexdigest()


def _collect(
    pending: dict[Future[Labelled], tuple[int, str, int]],
    journal: _Journal,
    on_frames: Callable[[int], None] | None,
) -> None:
    finished, _ = wait(pending, return_when=FIRST_COMPLETED)
    for job in finished:
        number, digest, count = pending.pop(job)
        journal.add(number, digest, job.result())
        _tell(on_frames, count)


def _tell(on_frames: Callable[[int], None] | None, count: int) -> None:
    if on_frames is not None:
        on_frames(count)


_calculator: Calculator | None = None


def _start_worker(factory: CalculatorFactory) -> None:
    global _calculator
    # One thread each: processes already fill the machine.
    os.environ["OMP_NUM_THREADS"] = "1"
    _calculator = factory()


def _label_chunk(frames: list[Frame], first: int) -> Labelled:
    done, failed = [], []
    for i, frame in enumerate(frames, start=first):
        try:
            labelled = _label_one(frame)
        except Exception as error:
            # A calculator may raise anything; the other frames should not pay for it.
            failed.append((i, f"{type(error).__name__}: {error}"))
            continue
        problem = labelled.problem()
        if problem is None:
            done.append(labelled)
        else:
            failed.append((i, problem))
    return done, failed


def _label_one(frame: Frame) -> Frame:
    assert _calculator is not None
    atoms = to_atoms(replace(frame, energy=None, forces=None))
    atoms.calc = _calculator
    energy = float(atoms.get_potential_energy())
    return replace(frame, energy=energy, forces=atoms.get_forces())
