"""The journal survives whatever cuts it short."""

from pathlib import Path

import pytest

from ase_physml.errors import DataError
from ase_physml.jobs.identity import Identity
from ase_physml.jobs.journal import Journal

JOB = Identity.of("label", 1, calculator="emt")


def pack(result: str) -> tuple[int, bytes]:
    return len(result) % 200, result.encode()


def unpack(kind: int, payload: bytes) -> str:
    text = payload.decode()
    assert kind == len(text) % 200
    return text


def journal_of(out: Path, job: Identity = JOB, *, afresh: bool = False) -> Journal[str]:
    return Journal(out, job, pack, unpack, afresh=afresh)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    out = tmp_path / "out.h5"
    with journal_of(out) as journal:
        for index in (4, 0, 2):
            journal.add(index, 100 + index, f"number {index}")
        journal.add(7, 107, "it did not converge: é")
    return out


def results_of(out: Path) -> Path:
    return out.with_name("out.h5.partial") / "results"


def test_results_come_back(out: Path) -> None:
    with journal_of(out) as journal:
        assert journal.count == 4
        assert [i for i in range(30) if journal.has(i, 100 + i)] == [0, 2, 4, 7]
        assert journal.get(4) == "number 4"
        assert journal.get(7) == "it did not converge: é"


def test_a_later_result_counts(out: Path) -> None:
    with journal_of(out) as journal:
        journal.add(2, 102, "again")
    with journal_of(out) as journal:
        assert (journal.count, journal.get(2)) == (4, "again")


@pytest.mark.parametrize("cut", [1, 3, 20, 30, 40])
def test_a_torn_record_is_dropped(out: Path, cut: int) -> None:
    path = results_of(out)
    path.write_bytes(path.read_bytes()[:-cut])
    with journal_of(out) as journal:
        assert journal.count == 3
        assert not journal.has(7, 107)
        journal.add(7, 107, "seven")
        journal.add(9, 109, "nine")
    with journal_of(out) as journal:
        assert journal.count == 5
        assert (journal.get(7), journal.get(0)) == ("seven", "number 0")


def test_a_flipped_bit_is_noticed(out: Path) -> None:
    path = results_of(out)
    content = bytearray(path.read_bytes())
    content[25] ^= 1
    path.write_bytes(content)
    with journal_of(out) as journal:
        assert journal.count == 0


def test_another_job_is_refused(out: Path) -> None:
    with pytest.raises(DataError, match=r"calculator was emt, is lj.*start over"):
        journal_of(out, Identity.of("label", 1, calculator="lj"))
    # Nobody is left at it.
    with journal_of(out) as journal:
        assert journal.count == 4


def test_a_journal_that_says_not_whose_it_is(out: Path) -> None:
    # As early versions wrote it.
    results_of(out).with_name("job.json").write_text('{"calculator": "emt"}')
    with pytest.raises(DataError, match=r"nothing says what.*start over with --ov"):
        journal_of(out)
    with journal_of(out, afresh=True) as journal:
        assert journal.count == 0


def test_other_inputs_are_refused(out: Path) -> None:
    with (
        journal_of(out) as journal,
        pytest.raises(DataError, match="frame 2 of the input is not what it was"),
    ):
        journal.has(2, 103)


def test_two_at_once_are_refused(out: Path) -> None:
    with journal_of(out), pytest.raises(DataError, match="another process is at this"):
        journal_of(out)


def test_a_folder_without_a_lock_goes_on(out: Path) -> None:
    # Versions before this one locked the results themselves.
    results_of(out).with_name("lock").unlink()
    with journal_of(out) as journal:
        assert journal.count == 4


def test_removal(out: Path) -> None:
    with journal_of(out) as journal:
        journal.remove()
    assert list(out.parent.iterdir()) == []
