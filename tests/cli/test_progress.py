"""Lines in a log file: how many, and what they say."""

import pytest

from ase_physml.cli import progress
from ase_physml.cli.progress import counting, falling


def test_a_line_for_a_few_per_cent(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("labelling", 1000) as advance:
        for _ in range(1000):
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20
    assert lines[0].startswith("labelling: 50 of 1,000 (5 %), ")
    assert lines[0].endswith(" left") and " a second" in lines[0]
    assert lines[-1].startswith("labelling: 1,000 of 1,000 (100 %), ")


def test_of_an_unknown_number(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("importing", None) as advance:
        for _ in range(100):
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"importing: {2**k}" for k in range(7)
    ]


def test_one_long_relaxation_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    with falling("relaxing", 1, 0.01) as show:
        for step, force in enumerate((1.0, 0.1, 0.2, 0.03, 0.005)):
            show(0, step, force)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("step ")[1][0] for line in lines] == ["1", "3", "4"]
    assert lines[0].startswith("relaxing: 0 of 1 (50 %), ")
    assert "fmax 0.1000 eV/Å" in lines[0]


def test_those_that_end_without_converging_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with falling("relaxing", 2, 0.01) as show:
        show(0, 0, 1.0)
        show(1, 0, 1.0)
        show(0, 1, 0.0)
        show(1, 1, 0.0)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("relaxing: 2 of 2 (100 %)")
