"""Conformers: reproducible, in the right order, honest about failure."""

import numpy as np
import pytest
from rdkit import Chem
from scipy.spatial.distance import pdist, squareform

from ase_physml.chem.conformers import conformer, featurise_with_conformer
from ase_physml.chem.featurise import Featurised, featurise


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
    found = [conformer(molecule, *choice) for choice in choices]
    again = conformer(molecule, 0, "mmff94")
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
