"""The store: what goes in comes out, from memory and from a file."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from ase_physml.chem.features import Featurised, featurise
from ase_physml.chem.molecules import MoleculeStore, ranges
from ase_physml.errors import DataError

SMILES = ["CCO", "C", "c1ccccc1", "[Na+].[Cl-]"]


@pytest.fixture
def molecules() -> list[Featurised]:
    return [featurise(smiles) for smiles in SMILES]


def assert_equal(a: MoleculeStore, b: MoleculeStore) -> None:
    assert a.smiles.tolist() == b.smiles.tolist()
    assert a.facts == b.facts
    for one, other in ((a.rows, b.rows), (a.columns, b.columns)):
        assert one.keys() == other.keys()
        for name, values in one.items():
            assert values.dtype == other[name].dtype
            np.testing.assert_array_equal(values, other[name], name)


def test_rows_are_those_of_the_molecules(molecules: list[Featurised]) -> None:
    store = MoleculeStore.of(molecules)
    for k, molecule in enumerate(molecules):
        one = store.select(np.array([k]))
        assert one.smiles[0] == molecule.smiles
        for name, values in one.rows.items():
            np.testing.assert_array_equal(values, getattr(molecule, name))


def test_select_and_concatenate(molecules: list[Featurised]) -> None:
    store = MoleculeStore.of(molecules).with_columns(row=np.arange(4))
    parts = [store.select(np.array(part)) for part in ([0, 1], [2], [3])]
    assert_equal(MoleculeStore.concatenate(parts), store)
    twice = store.select(np.array([3, 3]))
    assert twice.columns["row"].tolist() == [3, 3]
    assert len(store.select(np.array([], dtype=int))) == 0


def test_save_and_load(molecules: list[Featurised], tmp_path: Path) -> None:
    store = MoleculeStore.of(molecules).with_columns(targets=np.full((4, 2), np.nan))
    store.facts["made"] = "here"
    store.save(tmp_path / "molecules.h5")
    assert_equal(MoleculeStore.load(tmp_path / "molecules.h5"), store)
    assert [p.name for p in tmp_path.iterdir()] == ["molecules.h5"]


def test_molecules_without_edges_are_saved(tmp_path: Path) -> None:
    store = MoleculeStore.of([featurise("C")])
    store.save(tmp_path / "methane.h5")
    assert_equal(MoleculeStore.load(tmp_path / "methane.h5"), store)


def test_a_failed_save_leaves_the_old_file(
    molecules: list[Featurised], tmp_path: Path
) -> None:
    path = tmp_path / "molecules.h5"
    store = MoleculeStore.of(molecules)
    store.save(path)
    broken = store.with_columns(bad=np.array([object()] * 4))
    with pytest.raises(TypeError):
        broken.save(path)
    assert_equal(MoleculeStore.load(path), store)


def test_refused(molecules: list[Featurised], tmp_path: Path) -> None:
    store = MoleculeStore.of(molecules)
    with pytest.raises(DataError, match="no molecules"):
        MoleculeStore.of([])
    with pytest.raises(DataError, match="different columns"):
        MoleculeStore.concatenate([store, store.with_columns(row=np.arange(4))])
    with pytest.raises(DataError, match="3 values of row for 4"):
        store.with_columns(row=np.arange(3))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["n_atoms"] = [1]
    with pytest.raises(DataError, match="not a store of molecules"):
        MoleculeStore.load(tmp_path / "other.h5")
    with pytest.raises(DataError, match="no such file"):
        MoleculeStore.load(tmp_path / "missing.h5")


def test_ranges() -> None:
    found = ranges(np.array([5, 0, 9]), np.array([2, 0, 3]))
    assert found.tolist() == [5, 6, 9, 10, 11]
