"""Inputs that could not be treated, as a table beside the results."""

import csv
from dataclasses import dataclass
from pathlib import Path

from ase_physml.jobs.disk import atomic_write, writing


@dataclass(frozen=True)
class Failure:
    """Input without a result.

    Attributes:
        index: Position in the input, from 0; of a table, line of the file, from 1.
        name: Name of the input, "" if it has none.
        reason: Message of the error, in one line.
    """

    index: int
    name: str
    reason: str


def list_failures(
    out: Path,
    failures: list[Failure],
    kind: str = "failures",
    counted: str = "frame",
) -> None:
    """Write ``OUT.KIND.csv``, or remove one of earlier if there are none.

    Args:
        out: File of the results.
        failures: Rows of the table.
        kind: Name of the table, in its file's name.
        counted: Unit that indices count, "frame" from 0 or "line" from 1.

    Raises:
        WriteError: It cannot be written.
    """
    path = out.with_name(f"{out.name}.{kind}.csv")
    if not failures:
        path.unlink(missing_ok=True)
        return
    with (
        writing(path),
        atomic_write(path) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as f,
    ):
        rows = csv.writer(f)
        rows.writerow([counted, "name", "reason"])
        rows.writerows([one.index, one.name, one.reason] for one in failures)
