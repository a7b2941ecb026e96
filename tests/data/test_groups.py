"""Reactions by the names of frames."""

from pathlib import Path

import numpy as np
import pytest

from ase_physml.data import groups
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.groups import reactions
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import DataError


def stored(path: Path, frames: list[Frame]) -> RaggedSet:
    write(path, frames, Metadata("PBE", equilibrium=True))
    return RaggedSet(path)


def reaction_frames(order: list[int]) -> list[Frame]:
    """Ends and saddle of ten reactions in this order, and a frame of none."""
    frames = [
        Frame(np.array([6]), np.array([[float(k), place, 0.0]]), name=f"rxn{k}/{role}")
        for k in range(10)
        for place, role in enumerate(("r", "ts", "p"))
        if (k, role) != (7, "ts")
    ]
    frames += [Frame(np.array([1]), np.zeros((1, 3)), name="rxn99/r")]
    return [frames[k] for k in order]


@pytest.mark.parametrize("batch", [1, 4, 1024])
@pytest.mark.parametrize("shuffled", [False, True])
def test_reactions_of_frames_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shuffled: bool, batch: int
) -> None:
    monkeypatch.setattr(groups, "_BATCH", batch)
    order = [*range(30)]
    if shuffled:
        np.random.default_rng(0).shuffle(order)
    frames = reaction_frames(order)
    found = list(reactions(stored(tmp_path / "a.h5", frames)))
    names = [str(frame.name) for frame in frames]
    first = list(dict.fromkeys(name.partition("/")[0] for name in names))
    assert [one.name for one in found] == [name for name in first if name != "rxn99"]
    for one in found:
        number = int(one.name.removeprefix("rxn"))
        assert one.reactant.positions.tolist() == [[number, 0, 0]]
        assert one.product.positions.tolist() == [[number, 2, 0]]
        assert one.index == (names.index(f"{one.name}/r"), names.index(f"{one.name}/p"))
        assert (one.saddle is None) == (number == 7)
        assert one.saddle is None or one.saddle.name == f"{one.name}/ts"


def test_reactions_are_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frame by frame a set of 33,000 takes a hundred times as long."""
    data = stored(tmp_path / "a.h5", reaction_frames([*range(30)]))
    read: list[str] = []
    column = RaggedSet.column

    def counted(self: RaggedSet, name: str, *rows: int) -> np.ndarray:
        read.append(name)
        return column(self, name, *rows)

    monkeypatch.setattr(RaggedSet, "column", counted)
    assert len(list(reactions(data))) == 10
    assert read.count("positions") == 1


def test_a_set_without_reactions(tmp_path: Path) -> None:
    frames = [Frame(np.array([1]), np.zeros((1, 3)), name="oxides/cu-co-a")]
    data = stored(tmp_path / "a.h5", frames)
    with pytest.raises(DataError, match="no reactions; frames of one are named NAME/r"):
        list(reactions(data))
