"""Features of atoms and bonds, and elements against those of a model."""

import numpy as np
import pytest
from rdkit import Chem

from ase_physml.chem.features import (
    ATOM_FEATURES,
    BOND_FEATURES,
    HYDROGENS,
    NO_PATH,
    OTHER,
    Featurised,
    check_elements,
    element_names,
    featurise,
    unseen_elements,
)
from ase_physml.chem.initial_geometry import featurise_with_conformer
from ase_physml.errors import DataError

MOLECULES = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "C[C@H](N)C(=O)O",
    "F/C=C/C(Cl)=C",
    "O=C([O-])[C@@H]1C[C@H]1[NH3+]",
    "CC(C)(C)C1CCC(O)CC1",
    "[Na+].[Cl-].O",
    "C1CC2CCC1C2",
    "O=S(=O)(Cl)c1ccc2[nH]ccc2c1",
]
ARRAYS = (
    "atom_features",
    "masses",
    "edge_features",
    "source",
    "target",
    "reverse",
    "hops",
)


def shuffled(smiles: str, seed: int) -> Chem.Mol:
    molecule = Chem.MolFromSmiles(smiles)
    order = np.random.default_rng(seed).permutation(molecule.GetNumAtoms())
    return Chem.RenumberAtoms(molecule, order.tolist())


def assert_equal(a: Featurised, b: Featurised) -> None:
    assert a.smiles == b.smiles
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), name)


def test_atom_features_by_hand() -> None:
    # Ethanol as SMILES writes it: methyl, methylene, hydroxyl.
    features = featurise("OCC").atom_features
    expected = np.zeros((3, ATOM_FEATURES))
    expected[[0, 1, 2], [1, 1, 3]] = 1  # C, C, O of B C N O...
    expected[[0, 1, 2], [17, 18, 17]] = 1  # degrees 1, 2, 1
    expected[:, 26] = 1  # sp3
    expected[[0, 1, 2], [34, 33, 32]] = 1  # 3, 2, 1 hydrogens
    np.testing.assert_array_equal(features, expected)


@pytest.mark.parametrize(
    ("smiles", "column", "values"),
    [
        ("C[NH3+]", 22, [0, 1]),
        ("C[CH2]", 23, [1, 0]),
        ("c1cc[nH]c1", 30, [1, 1, 1, 1, 1]),
        ("C#N", 24, [1, 1]),
        ("C[C@@](N)(O)F", 36, [0, 1, 0, 0, 0]),
        ("C[C@](N)(O)F", 37, [0, 1, 0, 0, 0]),
        ("CC(N)(O)F", 38, [0, 1, 0, 0, 0]),
    ],
)
def test_one_atom_feature(smiles: str, column: int, values: list[int]) -> None:
    assert featurise(smiles).atom_features[:, column].tolist() == values


def test_cip_labels_are_those_of_rdkit() -> None:
    molecule = Chem.MolFromSmiles("C[C@H](N)C(=O)O")
    ((_, label),) = Chem.FindMolChiralCenters(molecule)
    of_right, of_left, possible = featurise(molecule).atom_features[:, 36:].sum(0)
    assert (of_right, of_left, possible) == (label == "R", label == "S", 1)


@pytest.mark.parametrize(
    ("smiles", "column", "bonds"),
    [
        ("CC", 0, 1),
        ("C=C", 1, 1),
        ("C#C", 2, 1),
        ("c1ccccc1", 3, 6),
        ("C=CC=C", 4, 3),
        ("C1CC1C", 5, 3),
        ("CCC", 6, 2),
        ("F/C=C\\F", 8, 1),
        ("F/C=C/F", 9, 1),
    ],
)
def test_bond_features(smiles: str, column: int, bonds: int) -> None:
    features = featurise(smiles).edge_features
    assert features.shape[1] == BOND_FEATURES
    assert features[:, column].sum() == 2 * bonds
    assert (features[:, 6:].sum(1) == 1).all()


@pytest.mark.parametrize("order", ["smiles", "rank"])
@pytest.mark.parametrize("smiles", MOLECULES)
def test_does_not_depend_on_the_order_of_atoms(smiles: str, order: str) -> None:
    first = featurise(smiles, order=order)
    for seed in range(5):
        molecule = shuffled(smiles, seed)
        again = featurise(molecule, order=order)
        assert_equal(first, again)
        # The way back leads to atoms of the same element.
        element = [molecule.GetAtomWithIdx(int(k)).GetMass() for k in again.input_index]
        np.testing.assert_allclose(again.masses * 50, element, rtol=1e-5)


def test_orders_are_permutations_of_each_other() -> None:
    walk, rank = (featurise(MOLECULES[0], order=o) for o in ("smiles", "rank"))
    assert not np.array_equal(walk.input_index, rank.input_index)
    back = np.argsort(walk.input_index)[rank.input_index]
    np.testing.assert_array_equal(walk.atom_features[back], rank.atom_features)
    np.testing.assert_array_equal(walk.masses[back], rank.masses)


def test_smiles_order_walks_along_bonds() -> None:
    molecule = featurise("CCCCCCCCO")
    forward = molecule.source == molecule.target - 1
    assert forward.sum() == len(molecule.masses) - 1


def test_global_stereo_settings_change_nothing() -> None:
    first = [featurise(smiles) for smiles in MOLECULES]
    before = Chem.GetUseLegacyStereoPerception()
    try:
        Chem.SetUseLegacyStereoPerception(not before)
        for smiles, expected in zip(MOLECULES, first, strict=True):
            assert_equal(featurise(smiles), expected)
    finally:
        Chem.SetUseLegacyStereoPerception(before)


def test_positions_follow_their_atoms() -> None:
    molecule = shuffled("CC(=O)N", 3)
    positions = np.arange(12.0).reshape(4, 3)
    found = featurise(molecule, positions)
    assert found.positions is not None
    np.testing.assert_array_equal(found.positions, positions[found.input_index])
    with pytest.raises(DataError, match="4 heavy atoms"):
        featurise(molecule, positions[:3])


def test_edges_and_hops() -> None:
    # Cyclopropane with a tail: distances by hand.
    found = featurise("CC1CC1")
    np.testing.assert_array_equal(found.source[found.reverse], found.target)
    np.testing.assert_array_equal(found.reverse[found.reverse], np.arange(8))
    assert (np.diff(found.target) >= 0).all()
    tail = int(np.flatnonzero(np.bincount(found.target) == 1)[0])
    later, earlier = np.tril_indices(4, -1)
    hops = {
        frozenset(pair): int(h)
        for *pair, h in zip(later.tolist(), earlier.tolist(), found.hops, strict=True)
    }
    assert sorted(h for pair, h in hops.items() if tail in pair) == [1, 2, 2]
    assert all(h == 1 for pair, h in hops.items() if tail not in pair)


@pytest.mark.parametrize(
    "smiles", ["[2H]C([2H])([2H])C", "[13CH3]C", "[H]C([H])([H])C", "[CH3:1][CH3:2]"]
)
def test_isotopes_hydrogens_and_maps_are_ignored(smiles: str) -> None:
    assert_equal(featurise(smiles), featurise("CC"))


def test_a_centre_by_isotopes_only_is_none() -> None:
    assert_equal(featurise("[2H][C@@H](C)O"), featurise("CCO"))


def test_salts_stay_together() -> None:
    found = featurise("[Na+].CC(=O)[O-]")
    assert len(found.masses) == 5
    assert (found.hops == NO_PATH).sum() == 4


def test_metals_are_other_with_their_mass() -> None:
    found = featurise("[Pt]")
    assert found.atom_features[0, OTHER] == 1
    assert found.masses[0] == pytest.approx(195.08 / 50, rel=1e-3)


def test_single_atoms_have_no_edges() -> None:
    for smiles in ("C", "[Ne]", "[Cl-]"):
        found = featurise(smiles)
        assert len(found.masses) == 1
        assert found.edge_features.shape == (0, BOND_FEATURES)
        assert len(found.source) == len(found.hops) == 0


def test_two_hundred_heavy_atoms() -> None:
    found = featurise("C(C(=O)NC)" * 40)
    assert len(found.masses) == 200
    assert found.hops.max() == 45


def test_coordination_bonds_are_of_no_organic_kind() -> None:
    found = featurise("[NH3]->[Cu]")
    assert found.edge_features[:, :4].sum() == 0


def test_hydrogens_beyond_four_count_as_four() -> None:
    # Methane has the most that occur in organic molecules.
    assert featurise("C").atom_features[0, HYDROGENS].tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("", "empty SMILES"),
        ("  ", "empty SMILES"),
        ("C1CC", "'C1CC' is not a valid SMILES"),
        ("CN(C)(C)(C)C", "not a valid SMILES"),
        ("[H][H]", r"'\[H\]\[H\]': no atom but hydrogen"),
        ("*CC", "dummy"),
    ],
)
def test_refused(smiles: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        featurise(smiles)


def test_input_molecule_is_left_alone() -> None:
    molecule = Chem.AddHs(Chem.MolFromSmiles("[13CH3:7]O"))
    before = Chem.MolToSmiles(molecule)
    featurise(molecule)
    assert Chem.MolToSmiles(molecule) == before


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    for smiles in ("C1CC", "C[Al](C)(C)(C)(C)(C)C"):
        with pytest.raises(DataError):
            featurise_with_conformer(smiles)
    assert capfd.readouterr() == ("", "")


def test_elements_are_named_and_metals_are_others() -> None:
    found = element_names(featurise("[Na+].[O-]C(Cl)B").atom_features)
    assert found == ["B", "C", "O", "Cl", "others"]


def test_what_is_unseen() -> None:
    silane = featurise("C[SiH2]CO")
    assert unseen_elements(silane, ["C", "O"]) == ["Si"]
    assert unseen_elements(silane, ["C", "O", "Si"]) == []
    salt = featurise("[Na+].[Pt].CC(=O)[O-]")
    assert unseen_elements(salt, ["C", "O"]) == ["Na", "Pt"]
    assert unseen_elements(salt, ["C", "O", "others"]) == []
    # A model of an earlier version does not say what it has seen.
    assert unseen_elements(silane, []) == []


def test_bonds_of_unseen_elements_are_refused() -> None:
    check_elements(featurise("CCO"), ["C", "N", "O"], "qm9.pt")
    with pytest.raises(DataError, match=r"qm9\.pt was trained on C, N, O .* of S"):
        check_elements(featurise("CCS"), ["C", "N", "O"], "qm9.pt")
