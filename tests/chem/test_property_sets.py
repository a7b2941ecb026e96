"""Property sets: targets stay with their molecules."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ase_physml.chem.features import featurise
from ase_physml.chem.molecule_sets import perceive_sets
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.chem.property_sets import PropertySet, import_table
from ase_physml.data.property_tables import PropertyTable, TableFormat
from ase_physml.errors import DataError

TABLE = PropertyTable(
    TableFormat("two", "smiles", ("a", "b"), "multiclass", "class", classes=3),
    ("OCC", "nonsense", "C", "CCO", "C1#CC1"),
    np.array([[0, 1], [2, 2], [np.nan, 1], [0, np.nan], [0, 0]]),
)


@pytest.fixture
def imported(tmp_path: Path) -> PropertySet:
    found, failures = import_table(TABLE, tmp_path / "two.h5")
    assert [(f.index, f.name) for f in failures] == [(1, "nonsense")]
    return found


def test_targets_stay_with_their_molecules(imported: PropertySet) -> None:
    assert imported.smiles.tolist() == ["CCO", "C", "CCO", featurise("C1#CC1").smiles]
    np.testing.assert_array_equal(imported.targets, TABLE.targets[[0, 2, 3, 4]])
    assert imported.target_names == ("a", "b")
    assert (imported.task, imported.unit, imported.classes) == (
        "multiclass",
        "class",
        3,
    )
    chosen = imported.select(np.array([3, 1]))
    assert chosen.store.columns["index"].tolist() == [4, 2]
    np.testing.assert_array_equal(chosen.targets, TABLE.targets[[4, 2]])


def test_conformers_where_there_are_some(imported: PropertySet) -> None:
    assert imported.store.has_positions.tolist() == [True, True, True, False]
    # Written differently, the molecule is the same, and so is its conformer.
    twice = [imported.store.select(np.array([k])).rows["positions"] for k in (0, 2)]
    np.testing.assert_array_equal(twice[0], twice[1])


def test_without_conformers(tmp_path: Path) -> None:
    found, _ = import_table(TABLE, tmp_path / "two.h5", conformers=False)
    assert not found.store.has_positions.any()


def test_save_and_load(imported: PropertySet, tmp_path: Path) -> None:
    imported.select(np.array([2, 0])).save(tmp_path / "part.h5")
    again = PropertySet.load(tmp_path / "part.h5")
    np.testing.assert_array_equal(again.targets, TABLE.targets[[3, 0]])
    assert (again.name, again.target_names) == ("two", ("a", "b"))
    MoleculeStore.of([featurise("C")]).save(tmp_path / "plain.h5")
    with pytest.raises(DataError, match="without targets"):
        PropertySet.load(tmp_path / "plain.h5")


def test_energies_of_geometries(make_set: Callable[..., Path], tmp_path: Path) -> None:
    known = make_set("known.h5", ["C", "CO", "CCN"], energies=True)
    further = make_set("further.h5", ["CC"])
    store, _ = perceive_sets([further, known], tmp_path / "molecules.h5")
    found = PropertySet.of_energies(store, "small")
    assert found.smiles.tolist() == ["C", "CO", "CCN"]
    assert found.targets.tolist() == [[0], [-1], [-2]]
    assert (found.unit, found.task) == ("eV", "regression")
    assert found.store.has_positions.all()
