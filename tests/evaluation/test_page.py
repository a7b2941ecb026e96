"""The page says what the tables do, and nothing in it is taken for markup."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ase_physml.evaluation import page as report

TAG = "<b>'&\""


class Cells(HTMLParser):
    """Text and class of every cell of the tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None]] = []
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_cell = tag in {"td", "th"}
        if self._in_cell:
            self.found.append(("", dict(attrs).get("class")))

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            text, mark = self.found[-1]
            self.found[-1] = (text + data, mark)

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = False


def page_of(
    tables: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setattr(report, "picture", lambda *_: "data:image/png;base64,a+/=")
    found: dict[str, Any] = {"structure": {name: {} for name in tables}}
    report.write_report(folder / "r.html", found, {"structure": tables})
    assert [path.name for path in folder.iterdir()] == ["r.html"]
    return (folder / "r.html").read_text("utf-8")


def table(rows: dict[str, Any], **errors: str) -> dict[str, Any]:
    return {"rows": rows, "cases": 7, "errors": errors}


def test_tables_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    low, high = "ΔP mean (Å)", "within 0.1 Å (%)"
    tables = {
        "first": table({"near": {low: 0.12345, high: 50.0, "n": 3}}),
        TAG: table({"near": {low: 0.2, high: 75.0, TAG: TAG}, "far": {low: 1e-9}}),
    }
    page = page_of(tables, tmp_path, monkeypatch)
    columns = [("", None), ("", None), *((c, None) for c in (low, high, "n", TAG))]
    near = [("near", None), ("first", "name"), ("0.123", "best"), ("50", None)]
    below = [("", None), (TAG, "name"), ("0.2", None), ("75", "best")]
    assert Cells(page).found == [
        *columns,
        *[*near, ("3", None), ("", None)],
        *[*below, ("", None), (TAG, None)],
        # Of one alone nothing is best.
        *[("far", None), (TAG, "name"), ("1e-09", None), *3 * [("", None)]],
    ]
    assert "<b>" not in page and 'src="data:image/png;base64,a+/="' in page
    assert "failed" not in page


def test_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {"one": table({}), TAG: table({}, case=f"Error: {TAG}")}
    page = page_of(tables, tmp_path, monkeypatch)
    escaped = "&lt;b&gt;&#39;&amp;&#34;"
    assert f"{escaped}: 1 of 7 cases failed" in page
    assert f"<li>case: Error: {escaped}</li>" in page
    assert page.count("cases failed</summary>") == 1
    assert "<table>" not in page and "<img" not in page
    # But a verdict on it there is, and on the one of which nothing is known none.
    assert '<td class="FAIL" title="1 of 7 cases failed">FAIL, 7 cases</td>' in page
    assert '<td class="" title="">not measured, 7 cases</td>' in page
