"""Page of an evaluation for people: tables side by side, pictures, what went wrong."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import ase
from jinja2 import Environment, PackageLoader, StrictUndefined

from ase_physml import __version__
from ase_physml.evaluation.certificate import LIMITS, Verdict, verdicts
from ase_physml.evaluation.figures import picture, said
from ase_physml.evaluation.measure import SUITES, Found
from ase_physml.evaluation.suite import Row, Suite
from ase_physml.jobs.disk import atomic_write

TEMPLATES = Environment(
    loader=PackageLoader("ase_physml.evaluation", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
"""Templates of this room, which share their style."""


class Cell(NamedTuple):
    """Text of a value, and whether no other candidate has a better one."""

    text: str
    best: bool


class Line(NamedTuple):
    """Cells of one candidate in one row; the first of the row's lines names it."""

    row: str
    first: bool
    candidate: str
    cells: list[Cell]


def write_report(path: Path, found: Found, tables: Mapping[str, Any]) -> None:
    """Write the page; it needs no network and no other file.

    Args:
        path: HTML file, replaced if it exists.
        found: Records of all cases, of `evaluate`.
        tables: Rows of all suites, of `tables`.
    """
    names = list(dict.fromkeys(n for by in found.values() for n in by))
    page = TEMPLATES.get_template("report.html.j2").render(
        title="How far can it be trusted? " + ", ".join(names),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        version=__version__,
        ase_version=ase.__version__,
        names=names,
        certificate=_certificate(tables),
        limits=LIMITS,
        titles={name: suite.title for name, suite in SUITES.items()},
        sections=[_section(SUITES[s], found[s], tables[s]) for s in found],
    )
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _certificate(tables: Mapping[str, Any]) -> dict[str, dict[str, Verdict]]:
    """Verdicts of the suites that measured anything."""
    found = verdicts(tables)
    return {s: by for s, by in found.items() if any(v.mark for v in by.values())}


def _section(
    suite: Suite, records: Mapping[str, Any], tables: Mapping[str, Any]
) -> dict[str, Any]:
    """Values of a suite that the template reads."""
    by_candidate = {name: table["rows"] for name, table in tables.items()}
    columns = _columns(by_candidate)
    measured = any(table["rows"] for table in tables.values())
    return {
        "suite": suite,
        "columns": columns,
        "lines": list(_lines(suite, columns, by_candidate)),
        "image": picture(suite.name, records) if measured else None,
        "said": said(suite.name),
        "tables": tables,
    }


def _columns(by_candidate: Mapping[str, Mapping[str, Row]]) -> list[str]:
    cells = [row for rows in by_candidate.values() for row in rows.values()]
    return list(dict.fromkeys(column for row in cells for column in row))


def _lines(
    suite: Suite, columns: list[str], by_candidate: Mapping[str, Mapping[str, Row]]
) -> Iterator[Line]:
    """Lines of a table, those of one row one below the other."""
    for name in dict.fromkeys(row for rows in by_candidate.values() for row in rows):
        best = {c: _best(suite, c, name, by_candidate) for c in columns}
        those = {s: rows[name] for s, rows in by_candidate.items() if name in rows}
        for k, (candidate, row) in enumerate(those.items()):
            cells = [_cell(row.get(c), best[c]) for c in columns]
            yield Line(name, k == 0, candidate, cells)


def _best(
    suite: Suite, column: str, row: str, by_candidate: Mapping[str, Mapping[str, Row]]
) -> float | None:
    """Best of several values; of one alone nothing is best."""
    values = [
        value
        for rows in by_candidate.values()
        if isinstance(value := rows.get(row, {}).get(column), int | float)
    ]
    if column not in suite.better or len(set(values)) < 2:
        return None
    return max(values) if suite.better[column] == "high" else min(values)


def _cell(value: float | str | None, best: float | None) -> Cell:
    if value is None or isinstance(value, str):
        return Cell(value or "", best=False)
    return Cell(f"{value:.3g}", best is not None and value == best)
