"""The scripts that draw reactions, and that measure and report saddles."""

import csv
import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from ase_physml.data.frame import Frame
from ase_physml.data.index_split import Split
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write

FOLDER = Path(__file__).parents[2] / "training" / "reactions"


@pytest.fixture(autouse=True)
def _beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts import each other."""
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs a script, and returns what it printed."""

    def call(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        import_module(name).main()
        return capsys.readouterr().out

    return call


def frames(names: list[str]) -> list[Frame]:
    """Reactant, saddle and product of reactions of hydrogen molecules."""
    return [
        Frame(np.array([1, 1]), np.eye(3)[:2], name=f"{name}/{role}", energy=0.0)
        for name in names
        for role in ("r", "ts", "p")
    ]


def split(path: Path, parts: list[str]) -> Path:
    """Split of reactions, three frames each, by the part of each."""
    chosen = {
        part: np.array(
            [3 * k + j for k, one in enumerate(parts) if one == part for j in range(3)],
            dtype=np.int64,
        )
        for part in ("train", "val", "test")
    }
    Split(**chosen).save(path)
    return path


def test_reactions_are_drawn_from_what_no_potential_has_seen(
    run: Callable[..., str], tmp_path: Path
) -> None:
    write(tmp_path / "a.h5", frames(["a", "b", "c", "d"]), Metadata())
    write(tmp_path / "b.h5", frames(["d", "c", "b", "e"]), Metadata())
    first = split(tmp_path / "a.json", ["test", "test", "val", "val"])
    second = split(tmp_path / "b.json", ["train", "test", "test", "val"])
    out = tmp_path / "out.json"
    held = ("--held", tmp_path / "a.h5", first, "--held", tmp_path / "b.h5", second)
    run("draw_reactions", *held, "--out", out)
    # b is tested by both, c by the second alone, d by none; a and e are not in both.
    assert json.loads(out.read_text()) == {"development": ["d"], "test": ["b"]}


def test_a_split_of_another_set_is_refused(tmp_path: Path) -> None:
    from draw_reactions import parts  # type: ignore[import-not-found]

    from ase_physml.data.dataset import RaggedSet
    from ase_physml.errors import DataError

    write(tmp_path / "a.h5", frames(["a", "b"]), Metadata())
    other = Split.load(split(tmp_path / "a.json", ["train", "test", "val"]))
    with pytest.raises(DataError, match="of 9 frames, not 6"):
        parts(RaggedSet(tmp_path / "a.h5"), other)


def test_figures() -> None:
    from evaluate_saddles import Row  # type: ignore[import-not-found]
    from report_saddles import summary, table  # type: ignore[import-not-found]

    rows = [
        Row("a", "m", 2.0, "PASS", True, True, barrier=2.3, sigma=0.2, apart=0.1),
        Row("b", "m", 3.0, "WARN", True, False, barrier=3.0, sigma=0.2, apart=0.5),
        Row("c", "m", 3.0, "WARN", True, steps=2, barrier=9.0, sigma=0.2),
        Row("d", "m", 3.0),
    ]
    found = summary(rows, {"a": -0.1, "x": -0.3})
    assert (found["reactions"], found["PASS"], found["joined"]) == (4, 1, 2)
    assert found["connected"] == 1 and found["two steps"] == 1
    # The published barrier without its zero-point energy; of b with the mean of all.
    assert found["error mean"] == pytest.approx((0.2 + 0.2) / 2)
    assert found["within 0.3 Å"] == 1
    assert found["within sigma"] == pytest.approx(0.0, abs=0.51)
    assert found["within 2 sigma"] == 1.0 and found["factor"] == pytest.approx(1.0)
    assert "| PASS | 1 |" in table({"m": found})


def test_shifts_need_both_structures(tmp_path: Path) -> None:
    from report_saddles import shifts

    path = tmp_path / "zp.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("name", "calculator", "zero_point_eV"))
        out.writerows([("a/r", "x", 1.0), ("a/ts", "x", 0.8), ("b/r", "x", 1.0)])
    assert shifts(path) == {"a": pytest.approx(-0.2)} and shifts(None) == {}


def test_a_measurement_goes_on(run: Callable[..., str], tmp_path: Path) -> None:
    """What is done is not done again, and what fails says why."""
    write(tmp_path / "set.h5", frames(["a", "b"]), Metadata())
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"test": ["a", "b"], "development": []}))
    out = tmp_path / "out.json"
    options = ("--names", names, "--models", "emt", "--out", out)
    first = run("evaluate_saddles", tmp_path / "set.h5", *options, "--count", 1)
    assert "a FAIL" in first and "b FAIL" not in first
    both = run("evaluate_saddles", tmp_path / "set.h5", *options)
    assert "b FAIL" in both and "a FAIL" not in both
    rows = json.loads(out.read_text())["rows"]
    assert [row["name"] for row in rows] == ["a", "b"]
    assert all(row["reason"] and row["evaluations"] > 0 for row in rows)
