"""Sets of molecules: failures, interruptions, processes; splits lose nothing."""

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ase_physml.chem import molecule_sets
from ase_physml.chem.features import Featurised, featurise
from ase_physml.chem.molecule_sets import (
    FrameChain,
    build_store,
    perceive_sets,
    random_split,
    scaffold,
    scaffold_split,
)
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.errors import DataError

MakeSet = Callable[..., Path]

MOLECULES = ["CCO", "C", "C[C@H](N)C(=O)O", "C#N", "C1CC1", "CC=O", "c1ccccc1"]
SMILES = ["C" * n for n in range(1, 8)] + ["nonsense", "", "CO"]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(molecule_sets, "_CHUNK", 3)


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
    built, failures = build_store(
        SMILES, featurise, out, {}, columns={"twice": np.arange(10) * 2}
    )
    assert built.columns["index"].tolist() == [0, 1, 2, 3, 4, 5, 6, 9]
    assert built.columns["twice"].tolist() == [0, 2, 4, 6, 8, 10, 12, 18]
    assert [f.index for f in failures] == [7, 8]
    assert "not a valid SMILES" in failures[0].reason
    with (tmp_path / "store.h5.failures.csv").open() as file:
        rows = list(csv.reader(file))
    assert [row[:2] for row in rows[1:]] == [["7", "nonsense"], ["8", ""]]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "store.h5",
        "store.h5.failures.csv",
    ]


def test_goes_on_after_an_interruption(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.h5", tmp_path / "cut.h5"
    build_store(SMILES, featurise, whole, {"of": "all"})
    with pytest.raises(KeyboardInterrupt):
        build_store(SMILES, partial(until, stop="CCCCC"), cut, {"of": "all"})
    assert not cut.exists()
    counts: list[int] = []
    build_store(SMILES, featurise, cut, {"of": "all"}, on_items=counts.append)
    assert sum(counts) == len(SMILES)
    assert content(cut) == content(whole)


def test_finished_chunks_are_not_done_again(tmp_path: Path) -> None:
    out = tmp_path / "store.h5"
    with pytest.raises(KeyboardInterrupt):
        build_store(SMILES, partial(until, stop="CO"), out, {})
    with pytest.raises(AssertionError, match="CO was done"):
        build_store(SMILES, never, out, {})


def test_another_job_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "store.h5"
    with pytest.raises(KeyboardInterrupt):
        build_store(SMILES, partial(until, stop="CCCCC"), out, {"seed": "0"})
    with pytest.raises(DataError, match=r"facts\.seed was 0, is 1"):
        build_store(SMILES, featurise, out, {"seed": "1"})
    with pytest.raises(DataError, match="not what it was"):
        build_store(["O", *SMILES[1:]], featurise, out, {"seed": "0"})


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not one molecule of 1 items.*empty SMILES"):
        build_store([""], featurise, tmp_path / "store.h5", {})


def test_processes_give_the_same(tmp_path: Path) -> None:
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    build_store(SMILES, featurise, one, {})
    build_store(SMILES, featurise, two, {}, processes=2)
    assert content(one) == content(two)


RINGS = ["c1ccccc1", "C1CC1", "C1CCC1", "C1CCCC1", "C1CCCCC1", "c1ccncc1", "C1CO1"]


def store_of(smiles: list[str]) -> MoleculeStore:
    return MoleculeStore.of([featurise(s) for s in smiles])


@pytest.fixture(scope="module")
def store() -> MoleculeStore:
    chains = ["C" * n + "O" for n in range(1, 21)]
    backwards = ["O" + "C" * n for n in range(1, 21)]
    return store_of(chains + backwards + ["CC" + ring for ring in RINGS] * 2)


def parts(split: Split) -> list[np.ndarray]:
    return [split.train, split.val, split.test]


def test_random_split_keeps_duplicates_together(store: MoleculeStore) -> None:
    for seed in range(5):
        split = random_split(store, seed)
        assert sorted(np.concatenate(parts(split))) == list(range(len(store)))
        sides = [set(store.smiles[part]) for part in parts(split)]
        assert sum(map(len, sides)) == len(set(store.smiles)) == 27
        assert [len(side) for side in sides] == [21, 3, 3]
    again = random_split(store, 4)
    assert again.hash == split.hash != random_split(store, 0).hash


def test_scaffold_split_keeps_scaffolds_together(store: MoleculeStore) -> None:
    split = scaffold_split(store)
    assert sorted(np.concatenate(parts(split))) == list(range(len(store)))
    sides = [{scaffold(s) for s in store.smiles[part]} for part in parts(split)]
    assert sum(map(len, sides)) == 8
    # The largest scaffold, that of the chains, is the empty one.
    assert "" in sides[0]
    assert all(sides)
    assert scaffold_split(store).hash == split.hash


def test_scaffold_split_does_not_depend_on_order(store: MoleculeStore) -> None:
    order = np.random.default_rng(0).permutation(len(store))
    split, other = scaffold_split(store), scaffold_split(store.select(order))
    for one, two in zip(parts(split), parts(other), strict=True):
        assert sorted(order[two]) == one.tolist()


def test_scaffolds() -> None:
    assert scaffold("CCO") == ""
    assert scaffold("C[C@H](c1ccccc1)C1CC1C") == "c1ccc(CC2CC2)cc1"
    assert scaffold("O=C1CCCCC1C") == "O=C1CCCCC1"


def test_splits_are_stored_by_index(store: MoleculeStore, tmp_path) -> None:  # noqa: ANN001
    split = scaffold_split(store)
    split.save(tmp_path / "split.json")
    loaded = Split.load(tmp_path / "split.json")
    assert loaded.hash == split.hash
    np.testing.assert_array_equal(loaded.test, split.test)


def test_refused() -> None:
    with pytest.raises(DataError, match="one scaffold holds more"):
        scaffold_split(store_of(["C" * n for n in range(1, 11)]))
    with pytest.raises(DataError, match="nothing to train on"):
        scaffold_split(store_of(["C", "CC"]), (0.5, 0.5))


def test_sets_become_a_store(make_set: MakeSet, tmp_path: Path) -> None:
    known = make_set("known.h5", MOLECULES[:4], energies=True)
    further = make_set("further.h5", MOLECULES[4:7])
    _, failures = perceive_sets([known, further], tmp_path / "molecules.h5")
    store = MoleculeStore.load(tmp_path / "molecules.h5")
    assert store.smiles.tolist() == [featurise(s).smiles for s in MOLECULES[:7]]
    assert store.columns["file"].tolist() == [0] * 4 + [1] * 3
    assert store.columns["frame"].tolist() == [0, 1, 2, 3, 0, 1, 2]
    np.testing.assert_array_equal(
        store.columns["energy"], [0, -1, -2, -3, np.nan, np.nan, np.nan]
    )
    assert store.has_positions.all()
    assert store.facts["sources"] == "known.h5, further.h5"
    assert failures == []


def test_chain_of_sets(make_set: MakeSet) -> None:
    paths = [make_set("a.h5", ["C", "CC"]), make_set("b.h5", ["CCC"])]
    chain = FrameChain([RaggedSet(path) for path in paths])
    assert len(chain) == 3
    assert [f.name for f in chain[1:9]] == ["CC", "CCC"]
    assert chain[2].name == "CCC"
