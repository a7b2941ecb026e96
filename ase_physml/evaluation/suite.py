"""Suites of cases, run one by one so that nothing one case does can lose another."""

import json
import math
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ase_physml.evaluation.candidate import Candidate
from ase_physml.jobs.disk import writing
from ase_physml.jobs.identity import Identity
from ase_physml.jobs.pool import Lost, Workers

Record = dict[str, Any]
Records = Mapping[str, Record]
Case = tuple[str, Callable[[], Record]]
Row = dict[str, float | str]

# A case during which the process died this often is not tried again.
_DEATHS = 2
# Cases that travel together to a worker elsewhere.
_UNIT = 4


@dataclass(frozen=True)
class Suite:
    """One kind of test.

    Attributes:
        name: Name in its files and in ``--suites``.
        title: Heading in the report.
        about: Question it asks, for the reader of the report.
        cases: Key and measurement of every case of a candidate.
        rows: Rows of the table, from the records of cases that went well.
        better: Better end of each column that has one: "low" or "high".
    """

    name: str
    title: str
    about: str
    cases: Callable[[Candidate], Iterable[Case]]
    rows: Callable[[Records], dict[str, Row]]
    better: Mapping[str, str]


def run_suite(
    suite: Suite,
    candidate: Candidate,
    journal: Path,
    on_case: Callable[[int, int], None] | None = None,
    workers: Workers | None = None,
) -> dict[str, Record]:
    """Measure the cases that a journal has no record of yet.

    What a calculator raises, and numbers that are not finite, are a record too, under
    the key ``error``.

    Args:
        suite: Suite to run.
        candidate: Calculator to measure.
        journal: File with a line of JSON for every case; a killed run goes on from it.
        on_case: Called with the number of cases that are done, and of all.
        workers: Workers to measure elsewhere, who build calculators anew by name.

    Returns:
        Record of every case.

    Raises:
        DataError: The journal is of other settings, or cannot be written.
    """
    records, deaths = _earlier(journal, candidate.settings)
    try:
        cases = dict(suite.cases(candidate))
    except Exception as error:
        return {"all cases": {"error": _said(error)}}
    missing = [key for key in cases if key not in records]
    tell = on_case or (lambda _done, _total: None)
    tell(len(cases) - len(missing), len(cases))
    with writing(journal), journal.open("a") as file:
        if workers is None:
            found = _here({key: cases[key] for key in missing}, file, deaths)
        else:
            found = _elsewhere(workers, suite, candidate, missing)
        for done, (key, record) in enumerate(found, len(cases) - len(missing) + 1):
            _append(file, {"case": key, "record": record})
            records[key] = record
            tell(done, len(cases))
    return {key: records[key] for key in cases}


def _here(
    cases: Mapping[str, Callable[[], Record]], file: Any, deaths: Mapping[str, int]
) -> Iterator[tuple[str, Record]]:
    """Measure in this process, which may die of it."""
    for key, measure in cases.items():
        if deaths.get(key, 0) >= _DEATHS:
            yield key, {"error": "the process died here, twice"}
            continue
        _append(file, {"case": key, "began": True})
        try:
            yield key, _measured(measure)
        except KeyboardInterrupt:
            # Not the calculator's doing.
            _append(file, {"case": key, "interrupted": True})
            raise


def _elsewhere(
    workers: Workers, suite: Suite, candidate: Candidate, keys: Sequence[str]
) -> Iterator[tuple[str, Record]]:
    units = ((k, keys[k : k + _UNIT]) for k in range(0, len(keys), _UNIT))
    work = partial(_measured_cases, suite, pickle.dumps(candidate))
    for _, unit, records in workers.map_units(work, units):
        for key, record in zip(unit, records, strict=True):
            if isinstance(record, Lost):
                record = {"error": record.reason}
            yield key, record


def _measured_cases(suite: Suite, pickled: bytes, keys: Sequence[str]) -> list[Record]:
    """Records of some cases; runs in a worker."""
    cases = dict(suite.cases(_candidate(pickled)))
    return [_measured(cases[key]) for key in keys]


@lru_cache(maxsize=4)
def _candidate(pickled: bytes) -> Candidate:
    """A candidate, with the minima it has found so far."""
    candidate: Candidate = pickle.loads(pickled)
    return candidate


def _earlier(
    journal: Path, settings: Identity
) -> tuple[dict[str, Record], dict[str, int]]:
    """Records of finished cases, and how often others were begun."""
    if not journal.exists():
        with writing(journal):
            journal.parent.mkdir(parents=True, exist_ok=True)
            with journal.open("w") as file:
                _append(file, {"settings": dict(settings.values)})
        return {}, {}
    entries = list(_entries(journal))
    earlier = entries[0].get("settings") if entries else None
    settings.check(
        earlier, journal, "start over with --overwrite, or choose another folder"
    )
    records: dict[str, Record] = {}
    begun: dict[str, int] = {}
    for entry in entries[1:]:
        if "record" in entry:
            records[entry["case"]] = entry["record"]
        elif "case" in entry:
            change = -1 if "interrupted" in entry else 1
            begun[entry["case"]] = begun.get(entry["case"], 0) + change
    return records, begun


def _entries(journal: Path) -> Iterator[Record]:
    for line in journal.read_text().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue  # cut short by a kill


def share(whether: Sequence[bool]) -> float:
    """Per cent of cases of which something is true."""
    return 100.0 * sum(whether) / len(whether)


def good(records: Records) -> dict[str, Record]:
    """Records without an error."""
    return {key: record for key, record in records.items() if "error" not in record}


def _measured(measure: Callable[[], Record]) -> Record:
    try:
        record = measure()
    except Exception as error:
        return {"error": _said(error)}
    if not all(map(math.isfinite, _numbers(record))):
        return {"error": "a result is not a finite number"}
    return record


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0][:300]


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value


def _append(file: Any, entry: Record) -> None:
    file.write(json.dumps(entry) + "\n")
    file.flush()
    os.fsync(file.fileno())
