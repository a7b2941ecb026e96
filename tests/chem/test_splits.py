"""Splits: nothing on two sides, nothing lost."""

import numpy as np
import pytest

from ase_physml.chem.featurise import featurise
from ase_physml.chem.splits import random_split, scaffold, scaffold_split
from ase_physml.chem.store import MoleculeStore
from ase_physml.data.index_split import Split
from ase_physml.errors import DataError

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
