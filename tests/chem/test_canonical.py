"""One order of atoms and one hand for all ways to write a molecule."""

import numpy as np
import pytest
from rdkit import Chem

from ase_physml.chem.bonds import keeps_bonds
from ase_physml.chem.canonical import canonical_form
from ase_physml.chem.embed import embed, etkdg_parameters
from ase_physml.chem.smiles import with_hydrogens
from ase_physml.chem.stereo import keeps_stereo

WRITTEN = [
    ("C[C@H](O)C(=O)O", "OC(=O)[C@@H](O)C"),
    ("N[C@@H](CS)C(=O)O", "OC(=O)[C@@H](N)CS"),
    ("C/C=C\\[C@@H](F)Cl", "Cl[C@@H](/C=C\\C)F"),
    ("[2H]C([2H])([2H])O", "OC([2H])([2H])[2H]"),
    ("[O-][n+]1ccccc1", "c1cc[n+]([O-])cc1"),
    ("C[CH2]", "[CH2]C"),
    ("C1C[C@@H]2CC[C@H]1O2", "C1C[C@H]2CC[C@@H]1O2"),
    ("C[C@H]1CC[C@@H](O)CC1", "O[C@@H]1CC[C@H](C)CC1"),
]


def geometry(smiles: str) -> tuple[np.ndarray, Chem.Mol]:
    molecule = with_hydrogens(smiles)
    form = canonical_form(molecule)
    (positions,) = embed(form.molecule, etkdg_parameters(0))
    return form.as_given(positions), molecule


def lengths(positions: np.ndarray) -> np.ndarray:
    return np.sort(np.linalg.norm(positions[:, None] - positions, axis=-1).ravel())


@pytest.mark.parametrize(("one", "other"), WRITTEN)
def test_however_it_is_written(one: str, other: str) -> None:
    assert Chem.CanonSmiles(one) == Chem.CanonSmiles(other)
    (a, molecule), (b, again) = geometry(one), geometry(other)
    np.testing.assert_allclose(lengths(a), lengths(b), atol=1e-12)
    for positions, read in ((a, molecule), (b, again)):
        assert keeps_bonds(read, positions)
        assert keeps_stereo(read, positions)


@pytest.mark.parametrize(
    "smiles", ["C[C@H](O)CN", "C[C@@]1(F)C[C@H]1Cl", "C[S@](=O)CC"]
)
def test_mirror_images_get_mirror_images(smiles: str) -> None:
    mirrored = smiles.replace("@@", "#").replace("@", "@@").replace("#", "@")
    (left, _), (right, molecule) = geometry(smiles), geometry(mirrored)
    np.testing.assert_array_equal(left * [1.0, 1.0, -1.0], right)
    assert keeps_stereo(molecule, right)


def test_pairs_go_back_to_their_atoms() -> None:
    form = canonical_form(with_hydrogens("OCC(F)Cl"))
    numbers = np.array([a.GetAtomicNum() for a in form.molecule.GetAtoms()])
    back = form.pairs_as_given(numbers[:, None] * 100 + numbers)
    given = np.array([8, 6, 6, 9, 17])
    np.testing.assert_array_equal(back[:5, :5], given[:, None] * 100 + given)


def test_the_molecule_stays_as_it_is() -> None:
    molecule = with_hydrogens("[CH3:7][C@H:2](O)F")
    before = Chem.MolToSmiles(molecule)
    form = canonical_form(molecule)
    assert Chem.MolToSmiles(molecule) == before
    assert ":" not in Chem.MolToSmiles(form.molecule)
