"""Bonds from geometries, against the molecules that the geometries were made of."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from ase_physml.chem.featurise import featurise
from ase_physml.chem.perceive import bonded, perceive
from ase_physml.chem.sets import FrameChain, perceive_sets
from ase_physml.chem.store import MoleculeStore
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.errors import DataError

Geometry = Callable[[str], Frame]
MakeSet = Callable[..., Path]

MOLECULES = [
    "CCO",
    "C",
    "C[C@H](N)C(=O)O",
    "C[C@@H](N)C(=O)O",
    "F/C=C/C#N",
    "F/C=C\\C#N",
    "c1ccc2[nH]ccc2c1",
    "[NH3+]CC(=O)[O-]",
    "C1CC2(C1)CO2",
    "O=[N+]([O-])c1cc[nH]n1",
    "C1C2CC1C2",
    "C1CC12CC2",
    "N#C[C@@H]1C[C@@H]1O",
]


@pytest.mark.parametrize("smiles", MOLECULES)
def test_gives_back_the_molecule(smiles: str, geometry: Geometry) -> None:
    frame = geometry(smiles)
    found = perceive(frame)
    expected = featurise(smiles)
    assert found.smiles == expected.smiles
    np.testing.assert_array_equal(found.atom_features, expected.atom_features)
    np.testing.assert_array_equal(found.edge_features, expected.edge_features)
    heavy = frame.numbers != 1
    assert found.positions is not None
    np.testing.assert_allclose(
        found.positions, frame.positions[heavy][found.input_index], atol=1e-6
    )
    elements = [a.GetAtomicNum() for a in Chem.MolFromSmiles(found.smiles).GetAtoms()]
    assert elements == frame.numbers[heavy][found.input_index].tolist()


def test_bonds_are_short(geometry: Geometry) -> None:
    for smiles in MOLECULES:
        found = perceive(geometry(smiles))
        assert found.positions is not None
        vectors = found.positions[found.source] - found.positions[found.target]
        assert (np.linalg.norm(vectors, axis=1) < 1.75).all()


def test_all_atoms_have_bonds_and_a_place(geometry: Geometry) -> None:
    frame = geometry("CCO")
    molecule = bonded(frame)
    assert molecule.GetNumBonds() == 8
    np.testing.assert_allclose(molecule.GetConformer().GetPositions(), frame.positions)


def test_radicals_are_refused(geometry: Geometry) -> None:
    frame = geometry("CCO")
    hydrogen = int(np.flatnonzero(frame.numbers == 1)[0])
    without = np.arange(len(frame.numbers)) != hydrogen
    with pytest.raises(DataError, match="no bonds found"):
        perceive(Frame(frame.numbers[without], frame.positions[without]))


def test_sets_become_a_store(make_set: MakeSet, tmp_path: Path) -> None:
    known = make_set("known.h5", MOLECULES[:4], energies=True)
    further = make_set("further.h5", MOLECULES[4:7])
    built = perceive_sets([known, further], tmp_path / "molecules.h5")
    store = MoleculeStore.load(tmp_path / "molecules.h5")
    assert store.smiles.tolist() == [featurise(s).smiles for s in MOLECULES[:7]]
    assert store.columns["file"].tolist() == [0] * 4 + [1] * 3
    assert store.columns["frame"].tolist() == [0, 1, 2, 3, 0, 1, 2]
    np.testing.assert_array_equal(
        store.columns["energy"], [0, -1, -2, -3, np.nan, np.nan, np.nan]
    )
    assert store.has_positions.all()
    assert store.facts["sources"] == "known.h5, further.h5"
    assert built.failures == []


def test_chain_of_sets(make_set: MakeSet) -> None:
    paths = [make_set("a.h5", ["C", "CC"]), make_set("b.h5", ["CCC"])]
    chain = FrameChain([RaggedSet(path) for path in paths])
    assert len(chain) == 3
    assert [f.name for f in chain[1:9]] == ["CC", "CCC"]
    assert chain[2].name == "CCC"
