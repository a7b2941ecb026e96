"""Splits by index."""

import json
from pathlib import Path

import numpy as np
import pytest

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.groups import groups_of
from ase_physml.data.index_split import Split, make_split
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import DataError


def test_parts_are_disjoint_and_complete() -> None:
    split = make_split(1000, (0.1, 0.05), seed=3)
    assert [len(p) for p in (split.train, split.val, split.test)] == [850, 100, 50]
    together = np.concatenate([split.train, split.val, split.test])
    np.testing.assert_array_equal(np.sort(together), np.arange(1000))


def test_the_seed_decides() -> None:
    first, again = make_split(500, (0.2, 0.1), 1), make_split(500, (0.2, 0.1), 1)
    other = make_split(500, (0.2, 0.1), 2)
    assert first.hash == again.hash != other.hash
    np.testing.assert_array_equal(first.test, again.test)
    # Recorded once: with other numbers, a stored recipe would train on its test split.
    recorded = make_split(20, (0.1, 0.1), 0)
    assert (recorded.val.tolist(), recorded.test.tolist()) == ([9, 14], [15, 1])
    assert recorded.hash.startswith("b116f702a0e7ffe4")


def test_groups_stay_together() -> None:
    groups = [f"molecule {i // 7}" for i in range(700)]
    split = make_split(700, (0.1, 0.1), 0, groups)
    names = [{groups[i] for i in p} for p in (split.train, split.val, split.test)]
    assert [len(n) for n in names] == [80, 10, 10]
    assert not names[0] & names[1] | names[0] & names[2] | names[1] & names[2]


@pytest.fixture
def reactions(tmp_path: Path) -> RaggedSet:
    """Two reactions of CH4 and one of C2H2, five frames of each."""
    of = {
        "CH4/one": [6, 1, 1, 1, 1],
        "CH4/two": [1, 6, 1, 1, 1],
        "C2H2/x": [6, 1, 1, 6],
    }
    frames = [
        Frame(np.array(numbers), np.eye(len(numbers), 3), name=f"{name}/{k}")
        for k in range(5)
        for name, numbers in of.items()
    ]
    write(tmp_path / "set.h5", frames, Metadata(equilibrium=False))
    return RaggedSet(tmp_path / "set.h5")


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("reaction", ["CH4/one", "CH4/two", "C2H2/x"]),
        ("composition", ["1:4 6:1", "1:4 6:1", "1:2 6:2"]),
    ],
)
def test_groups_of_a_set(reactions: RaggedSet, by: str, groups: list[str]) -> None:
    assert list(groups_of(reactions, by)) == 5 * groups
    split = make_split(15, (0.34, 0.0), 0, groups_of(reactions, by))
    kept = {groups[i % 3] for i in split.val}
    assert len(kept) == 1
    assert not kept & {groups[i % 3] for i in split.train}


def test_groups_of_a_column(reactions: RaggedSet) -> None:
    assert list(groups_of(reactions, "name"))[:2] == ["CH4/one/0", "CH4/two/0"]
    with pytest.raises(DataError, match="no smiles; it has"):
        list(groups_of(reactions, "smiles"))


def test_groups_are_numbered_in_the_order_of_their_labels() -> None:
    # Recorded once, as of the seed: labels read one by one give the splits of before.
    groups = [f"molecule {i % 20}" for i in range(60)]
    recorded = make_split(60, (0.1, 0.1), 0, iter(groups))
    assert sorted(recorded.val.tolist()) == [4, 17, 24, 37, 44, 57]
    with pytest.raises(DataError, match="59 group labels for 60 frames"):
        make_split(60, (0.1, 0.1), 0, groups[1:])


def test_stored_and_loaded(tmp_path: Path) -> None:
    split = make_split(300, (0.1, 0.2), 5)
    path = tmp_path / "split.json"
    split.save(path)
    loaded = Split.load(str(path))
    assert loaded.hash == split.hash
    for part in ("train", "val", "test"):
        np.testing.assert_array_equal(getattr(loaded, part), getattr(split, part))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "edit",
    [
        {"size": 301},
        {"hash": "0" * 64},
        {"val": [1, 2, 3]},
        {"test": [299, 299]},
        {"test": [400]},
    ],
)
def test_an_edited_file_is_refused(tmp_path: Path, edit: dict[str, object]) -> None:
    path = tmp_path / "split.json"
    make_split(300, (0.1, 0.2), 5).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | edit))
    with pytest.raises(DataError, match="do not match the stored hash"):
        Split.load(path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"val": "x"}', "not json"])
def test_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(DataError, match="not a split file"):
        Split.load(path)
    with pytest.raises(DataError, match="not a split file"):
        Split.load(tmp_path / "missing.json")


def test_impossible_splits() -> None:
    with pytest.raises(DataError, match="leave nothing to train on"):
        make_split(100, (0.5, 0.5), 0)
    with pytest.raises(DataError, match="leave nothing to train on"):
        make_split(100, (-0.1, 0.1), 0)
    with pytest.raises(DataError, match="no frames"):
        make_split(0, (0.1, 0.1), 0)
    with pytest.raises(DataError, match="2 group labels for 3 frames"):
        make_split(3, (0.1, 0.1), 0, ["a", "b"])
