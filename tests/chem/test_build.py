"""Building stores: failures, interruptions, processes."""

import csv
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ase_physml.chem import build as module
from ase_physml.chem.build import build
from ase_physml.chem.featurise import Featurised, featurise
from ase_physml.chem.store import MoleculeStore
from ase_physml.errors import DataError

SMILES = ["C" * n for n in range(1, 8)] + ["nonsense", "", "CO"]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 3)


def until(smiles: str, stop: str) -> Featurised:
    if smiles == stop:
        raise KeyboardInterrupt
    return featurise(smiles)


def never(smiles: str) -> Featurised:
    raise AssertionError(f"{smiles} was done before")


def content(path: Path) -> dict[str, list[object]]:
    store = MoleculeStore.load(path)
    return {n: v.tolist() for n, v in {**store.rows, **store.columns}.items()}


def test_failures_are_listed_and_left_out(tmp_path: Path) -> None:
    out = tmp_path / "store.h5"
    built = build(SMILES, featurise, out, {}, columns={"twice": np.arange(10) * 2})
    assert built.store.columns["index"].tolist() == [0, 1, 2, 3, 4, 5, 6, 9]
    assert built.store.columns["twice"].tolist() == [0, 2, 4, 6, 8, 10, 12, 18]
    assert [f.index for f in built.failures] == [7, 8]
    assert "not a valid SMILES" in built.failures[0].reason
    with (tmp_path / "store.h5.failures.csv").open() as file:
        rows = list(csv.reader(file))
    assert [row[:2] for row in rows[1:]] == [["7", "nonsense"], ["8", ""]]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "store.h5",
        "store.h5.failures.csv",
    ]


def test_goes_on_after_an_interruption(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.h5", tmp_path / "cut.h5"
    build(SMILES, featurise, whole, {"of": "all"})
    with pytest.raises(KeyboardInterrupt):
        build(SMILES, partial(until, stop="CCCCC"), cut, {"of": "all"})
    assert not cut.exists()
    counts: list[int] = []
    build(SMILES, featurise, cut, {"of": "all"}, on_items=counts.append)
    assert sum(counts) == len(SMILES)
    assert content(cut) == content(whole)


def test_finished_chunks_are_not_done_again(tmp_path: Path) -> None:
    out = tmp_path / "store.h5"
    with pytest.raises(KeyboardInterrupt):
        build(SMILES, partial(until, stop="CO"), out, {})
    with pytest.raises(AssertionError, match="CO was done"):
        build(SMILES, never, out, {})


def test_another_job_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "store.h5"
    with pytest.raises(KeyboardInterrupt):
        build(SMILES, partial(until, stop="CCCCC"), out, {"seed": "0"})
    with pytest.raises(DataError, match=r"facts\.seed was 0, is 1"):
        build(SMILES, featurise, out, {"seed": "1"})
    with pytest.raises(DataError, match="not what it was"):
        build(["O", *SMILES[1:]], featurise, out, {"seed": "0"})


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not one molecule of 1 items.*empty SMILES"):
        build([""], featurise, tmp_path / "store.h5", {})


def test_processes_give_the_same(tmp_path: Path) -> None:
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    build(SMILES, featurise, one, {})
    build(SMILES, featurise, two, {}, processes=2)
    assert content(one) == content(two)
