"""Initial geometries: reproducible, honest about failure and about strain."""

import numpy as np
import pytest
from rdkit import Chem
from scipy.spatial.distance import pdist, squareform

from ase_physml.chem.features import Featurised, featurise
from ase_physml.chem.initial_geometry import (
    featurise_with_conformer,
    initial_geometry,
    rdkit_conformer,
)
from ase_physml.chem.smiles import with_hydrogens
from ase_physml.chem.stereo import keeps_stereo
from ase_physml.errors import DataError


def bond_lengths(molecule: Featurised) -> np.ndarray:
    assert molecule.positions is not None
    ends = molecule.positions[molecule.source] - molecule.positions[molecule.target]
    return np.linalg.norm(ends, axis=1)


@pytest.mark.parametrize("order", ["smiles", "rank"])
def test_one_conformer_however_written(order: str) -> None:
    first = featurise_with_conformer("CC(=O)Oc1ccccc1C(=O)O", order=order)
    other = featurise_with_conformer("OC(=O)c1c(OC(C)=O)cccc1", order=order)
    assert first.smiles == other.smiles
    np.testing.assert_array_equal(first.positions, other.positions)
    np.testing.assert_array_equal(first.atom_features, other.atom_features)


def test_bonds_are_as_long_as_bonds() -> None:
    for smiles in ("CC(=O)Oc1ccccc1C(=O)O", "FC(F)(F)C1CC1", "C#CC#N"):
        lengths = bond_lengths(featurise_with_conformer(smiles))
        assert lengths.min() > 1.1
        assert lengths.max() < 1.6


def test_geometry_of_ethanol() -> None:
    # C-C, C-O and the distance across the tetrahedral angle.
    molecule = featurise_with_conformer("CCO")
    distances = squareform(pdist(molecule.positions))
    assert distances[0, 1] == pytest.approx(1.52, abs=0.02)
    assert distances[1, 2] == pytest.approx(1.42, abs=0.02)
    assert distances[0, 2] == pytest.approx(2.4, abs=0.06)


def test_seed_and_force_field_matter() -> None:
    molecule = Chem.MolFromSmiles("CCCCCCO")
    choices = ((0, "mmff94"), (1, "mmff94"), (0, "uff"), (0, "none"))
    found = [rdkit_conformer(molecule, *choice) for choice in choices]
    again = rdkit_conformer(molecule, 0, "mmff94")
    np.testing.assert_array_equal(found[0], again)
    for a in range(4):
        for b in range(a):
            assert not np.allclose(pdist(found[a]), pdist(found[b]))


def test_elements_that_no_force_field_knows() -> None:
    # Boron has no MMFF94 parameters.
    molecule = featurise_with_conformer("OB(O)c1ccccc1")
    assert bond_lengths(molecule).max() < 1.7


def test_cages_that_the_strict_embedding_refuses() -> None:
    molecule = featurise_with_conformer("CO[C@]12C=C[C@@H]3[C@H]1C[C@@H]32")
    assert bond_lengths(molecule).max() < 1.7


def test_failure_leaves_features_without_positions() -> None:
    # A triple bond in a ring of three.
    found = featurise_with_conformer("C1#CC1")
    assert found.positions is None
    expected = featurise("C1#CC1")
    np.testing.assert_array_equal(found.atom_features, expected.atom_features)


def test_single_atoms_sit_at_one_place() -> None:
    found = featurise_with_conformer("C")
    assert found.positions is not None
    assert found.positions.shape == (1, 3)


@pytest.mark.parametrize(
    "smiles",
    [
        "C12C3C4C1C5C2C3C45",  # cubane
        "C1C23C1C2C3",  # [1.1.1]propellane
        "C1=CC1",
        "C1C2C=CC1C=C2",  # norbornadiene
        "C1CCC/C=C/CC1",  # trans-cyclooctene
        "C1C[C@@H]2C[C@@H]2C1",  # cis-bicyclo[3.1.0]hexane
        "C1C[C@@H]2C[C@H]2C1",  # trans, of which derivatives are known
        "C1CC[C@H]2CCCC[C@@H]2C1",  # trans-decalin
        "CC1(C)[C@@H]2CC[C@@]1(C)C(=O)C2",  # camphor
        "C1C[C@H]2CC[C@@H]1C2",  # norbornane
        "C1[C@@H]2CC[C@H]1[Se]2",  # without MMFF94
    ],
)
def test_what_exists_gets_a_geometry(smiles: str) -> None:
    molecule = with_hydrogens(smiles)
    assert keeps_stereo(molecule, initial_geometry(molecule))


@pytest.mark.parametrize(
    "smiles",
    [
        "C1C[C@H]2CC[C@H]1C2",  # trans-norbornane
        "C1C[C@H]2CC[C@H]1S2",
        "CC1(C)[C@@H]2CC[C@]1(C)C(=O)C2",  # camphor, a bridge through its ring
        "c1cc2n(c1)C[C@@H]1CNC[C@@H]2C1",
    ],
)
def test_bridges_through_rings_are_refused(smiles: str) -> None:
    with pytest.raises(DataError, match=r"cannot exist|finds no 3-D structure"):
        initial_geometry(with_hydrogens(smiles))


def test_what_is_left_open_comes_out_possible() -> None:
    molecule = with_hydrogens("c1cc2n(c1)CC1CNCC2C1")
    for seed in range(4):
        assert initial_geometry(molecule, seed).shape == (molecule.GetNumAtoms(), 3)
