"""One page that a person reads: tables side by side, pictures, what went wrong."""

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from ase_physml.evaluation.figures import picture
from ase_physml.evaluation.run import SUITES, Found
from ase_physml.evaluation.suite import Row, Suite

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 66rem;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 14px; }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #eee; }
th:first-child, td:first-child, td.name { text-align: left; }
tr.first td { border-top: 2px solid #ccc; }
td.best { font-weight: 600; color: #0a6b3d; }
img { max-width: 100%; } p.about { color: #555; max-width: 48rem; }
details { margin: .5rem 0; font-size: 13px; } .bad { color: #a40000; }
@media (prefers-color-scheme: dark) {
  body { background: #1b1b1b; color: #ddd; } p.about { color: #aaa; }
  th, td { border-color: #333; } td.best { color: #6fd19c; }
  img { background: white; border-radius: 4px; } .bad { color: #ff8a80; } }
"""


def write_report(path: Path, found: Found, tables: Mapping[str, Any]) -> None:
    """Write the page; it needs no network and no other file.

    Args:
        path: HTML file, replaced if it exists.
        found: Of `evaluate`.
        tables: Of `tables`.
    """
    names = list(dict.fromkeys(n for by in found.values() for n in by))
    sections = [_section(SUITES[s], found[s], tables[s]) for s in found]
    parts = [_head(names), *sections, "</body></html>\n"]
    partial = path.with_name(path.name + ".part")
    partial.write_text("\n".join(parts), encoding="utf-8")
    partial.replace(path)


def _head(names: list[str]) -> str:
    import ase

    from ase_physml import __version__

    title = "How far can it be trusted? " + ", ".join(names)
    now = datetime.now(UTC).strftime("%Y-%m-%d")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1><p class=about>{now}, ase_physml {__version__}, "
        f"ase {ase.__version__}. The best of each column is green.</p>"
    )


def _section(
    suite: Suite, records: Mapping[str, Any], tables: Mapping[str, Any]
) -> str:
    parts = [
        f"<h2 id={suite.name}>{escape(suite.title)}</h2>",
        f"<p class=about>{escape(suite.about)}</p>",
        _table(suite, {name: table["rows"] for name, table in tables.items()}),
    ]
    measured = {n: r for n, r in records.items() if tables[n]["rows"]}
    if measured:
        image = picture(suite.name, measured)
        parts.append(f'<img alt="{escape(suite.title)}" src="{image}">')
    for name, table in tables.items():
        parts.append(_errors(name, table["errors"], table["cases"]))
    return "\n".join(parts)


def _table(suite: Suite, by_subject: Mapping[str, Mapping[str, Row]]) -> str:
    rows = list(dict.fromkeys(row for rows in by_subject.values() for row in rows))
    cells = [row for rows in by_subject.values() for row in rows.values()]
    columns = list(dict.fromkeys(column for row in cells for column in row))
    if not columns:
        return ""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    lines = [f"<table><tr><th></th><th></th>{head}</tr>"]
    for name in rows:
        first = True
        for subject, found in by_subject.items():
            if name not in found:
                continue
            best = {c: _best(suite, c, name, by_subject) for c in columns}
            tds = "".join(_cell(found[name].get(c), best[c]) for c in columns)
            lines.append(
                f"<tr class={'first' if first else 'next'}><td>"
                f"{escape(name) if first else ''}</td>"
                f"<td class=name>{escape(subject)}</td>{tds}</tr>"
            )
            first = False
    return "\n".join([*lines, "</table>"])


def _best(
    suite: Suite, column: str, row: str, by_subject: Mapping[str, Mapping[str, Row]]
) -> float | None:
    """Of several; of one alone nothing is best."""
    values = [
        value
        for rows in by_subject.values()
        if isinstance(value := rows.get(row, {}).get(column), int | float)
    ]
    if column not in suite.better or len(set(values)) < 2:
        return None
    return max(values) if suite.better[column] == "high" else min(values)


def _cell(value: float | str | None, best: float | None) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    mark = " class=best" if best is not None and value == best else ""
    return f"<td{mark}>{value:.3g}</td>"


def _errors(name: str, errors: Mapping[str, str], cases: int) -> str:
    if not errors:
        return ""
    listed = "".join(
        f"<li>{escape(case)}: {escape(said)}</li>" for case, said in errors.items()
    )
    said = f"{name}: {len(errors)} of {cases} cases failed"
    return (
        f"<details><summary class=bad>{escape(said)}</summary><ul>{listed}</ul>"
        "</details>"
    )
