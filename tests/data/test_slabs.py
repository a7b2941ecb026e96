"""Work in slabs: resumed, refused, the same in any number of processes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ase_physml.data.slabs import Slabs
from ase_physml.errors import DataError
from ase_physml.jobs.identity import Identity

ITEMS = list(range(30))
JOB = Identity.of("t", 1, do="squares")


def squares(slab: Sequence[int]) -> list[int]:
    return [item**2 for item in slab]


def keep(stem: Path, start: int, slab: Sequence[int], result: list[int]) -> list[Any]:
    stem.with_suffix(".txt").write_text(f"{result}")
    return [start, len(slab)]


def run(out: Path, items: Sequence[int] = ITEMS, **named: Any) -> list[Any]:
    with Slabs(out, JOB, resume=True) as slabs:
        return slabs.run(items, 4, squares, keep, **named)


def test_slabs_are_kept_in_order(tmp_path: Path) -> None:
    counts: list[int] = []
    one = run(tmp_path / "one", tell=counts.append)
    two = run(tmp_path / "two", processes=2)
    assert [record for _, record in one] == [record for _, record in two]
    # At least eight slabs, so that all processes have work.
    assert [record for _, record in one] == [[k, 3] for k in range(0, 30, 3)]
    texts = [stem.with_suffix(".txt").read_text() for stem, _ in one]
    assert texts == [stem.with_suffix(".txt").read_text() for stem, _ in two]
    assert texts[1] == "[9, 16, 25]" and sum(counts) == 30


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def until_ten(slab: Sequence[int]) -> list[int]:
        if 10 in slab:
            raise KeyboardInterrupt
        return squares(slab)

    slabs = Slabs(out, JOB, resume=False)
    with slabs, pytest.raises(KeyboardInterrupt):
        slabs.run(ITEMS, 4, until_ten, keep)
    asked: list[int] = []

    def count(slab: Sequence[int]) -> list[int]:
        asked.extend(slab)
        return squares(slab)

    counts: list[int] = []
    with Slabs(out, JOB, resume=True) as slabs:
        slabs.run(ITEMS, 4, count, keep, tell=counts.append)
        slabs.remove()
    assert asked == ITEMS[9:] and sum(counts) == 30
    assert list(tmp_path.iterdir()) == []


def test_another_job_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out)
    with pytest.raises(DataError, match="holds an interrupted run; resume it"):
        Slabs(out, JOB, resume=False)
    with pytest.raises(DataError, match=r"do was squares, is cubes.*start over"):
        Slabs(out, Identity.of("t", 1, do="cubes"), resume=True)
    with pytest.raises(DataError, match="item 6 or one soon after is not what it was"):
        run(out, [*ITEMS[:7], 100, *ITEMS[8:]])


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        Slabs(tmp_path / "out", JOB, resume=True),
        pytest.raises(DataError, match="another process"),
    ):
        Slabs(tmp_path / "out", JOB, resume=True)
    with Slabs(tmp_path / "out", JOB, resume=True) as again:
        again.remove()


def test_nothing_to_do(tmp_path: Path) -> None:
    assert run(tmp_path / "out", []) == []
