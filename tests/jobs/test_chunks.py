"""Work in chunks: resumed, refused, the same in any number of processes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ase_physml.errors import DataError
from ase_physml.jobs.chunks import Chunks
from ase_physml.jobs.identity import Identity

ITEMS = list(range(30))
JOB = Identity.of("t", 1, do="squares")


def squares(chunk: Sequence[int]) -> list[int]:
    return [item**2 for item in chunk]


def keep(stem: Path, start: int, chunk: Sequence[int], result: list[int]) -> list[Any]:
    stem.with_suffix(".txt").write_text(f"{result}")
    return [start, len(chunk)]


def run(out: Path, items: Sequence[int] = ITEMS, **named: Any) -> list[Any]:
    with Chunks(out, JOB, resume=True) as chunks:
        return chunks.run(items, 4, squares, keep, **named)


def test_chunks_are_kept_in_order(tmp_path: Path) -> None:
    counts: list[int] = []
    one = run(tmp_path / "one", tell=counts.append)
    two = run(tmp_path / "two", processes=2)
    assert [record for _, record in one] == [record for _, record in two]
    # At least eight chunks, so that all processes have work.
    assert [record for _, record in one] == [[k, 3] for k in range(0, 30, 3)]
    texts = [stem.with_suffix(".txt").read_text() for stem, _ in one]
    assert texts == [stem.with_suffix(".txt").read_text() for stem, _ in two]
    assert texts[1] == "[9, 16, 25]" and sum(counts) == 30


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def until_ten(chunk: Sequence[int]) -> list[int]:
        if 10 in chunk:
            raise KeyboardInterrupt
        return squares(chunk)

    chunks = Chunks(out, JOB, resume=False)
    with chunks, pytest.raises(KeyboardInterrupt):
        chunks.run(ITEMS, 4, until_ten, keep)
    asked: list[int] = []

    def count(chunk: Sequence[int]) -> list[int]:
        asked.extend(chunk)
        return squares(chunk)

    counts: list[int] = []
    with Chunks(out, JOB, resume=True) as chunks:
        chunks.run(ITEMS, 4, count, keep, tell=counts.append)
        chunks.remove()
    assert asked == ITEMS[9:] and sum(counts) == 30
    assert list(tmp_path.iterdir()) == []


def test_another_job_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out)
    with pytest.raises(DataError, match="holds an interrupted run; resume it"):
        Chunks(out, JOB, resume=False)
    with pytest.raises(DataError, match=r"do was squares, is cubes.*start over"):
        Chunks(out, Identity.of("t", 1, do="cubes"), resume=True)
    with pytest.raises(DataError, match="item 6 or one soon after is not what it was"):
        run(out, [*ITEMS[:7], 100, *ITEMS[8:]])


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        Chunks(tmp_path / "out", JOB, resume=True),
        pytest.raises(DataError, match="another process"),
    ):
        Chunks(tmp_path / "out", JOB, resume=True)
    with Chunks(tmp_path / "out", JOB, resume=True) as again:
        again.remove()


def test_nothing_to_do(tmp_path: Path) -> None:
    assert run(tmp_path / "out", []) == []
