"""Bonds from geometries, against the molecules that the geometries were made of."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from rdkit import Chem

from ase_physml.chem import bonds
from ase_physml.chem.bonds import (
    bonded_pairs,
    featurise_frame,
    forms_no_bonds,
    keeps_bonds,
    perceive_bonds,
    summed_radii,
)
from ase_physml.chem.features import featurise
from ase_physml.chem.smiles import with_hydrogens
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
    found = featurise_frame(frame)
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
        found = featurise_frame(geometry(smiles))
        assert found.positions is not None
        vectors = found.positions[found.source] - found.positions[found.target]
        assert (np.linalg.norm(vectors, axis=1) < 1.75).all()


def test_all_atoms_have_bonds_and_a_place(geometry: Geometry) -> None:
    frame = geometry("CCO")
    molecule = perceive_bonds(frame)
    assert molecule.GetNumBonds() == 8
    np.testing.assert_allclose(molecule.GetConformer().GetPositions(), frame.positions)


def test_radicals_are_refused(geometry: Geometry) -> None:
    frame = geometry("CCO")
    hydrogen = int(np.flatnonzero(frame.numbers == 1)[0])
    without = np.arange(len(frame.numbers)) != hydrogen
    with pytest.raises(DataError, match="no bonds found"):
        featurise_frame(Frame(frame.numbers[without], frame.positions[without]))


def hydrogen(factor: float) -> Atoms:
    """Two hydrogens at so many sums of their covalent radii."""
    length = factor * float(summed_radii(np.array([1, 1]), np.array([[0], [1]]))[0])
    return Atoms("H2", [[0.0, 0.0, 0.0], [length, 0.0, 0.0]])


def test_each_rule_has_its_factor() -> None:
    h2, two = with_hydrogens("[H][H]"), Chem.MolFromSmiles("[H].[H]", sanitize=False)
    for factor, joined in ((bonds.STRETCHED - 0.01, True), (bonds.STRETCHED, False)):
        assert (bonded_pairs(hydrogen(factor)) == {(0, 1)}) == joined
    assert keeps_bonds(h2, hydrogen(bonds.BROKEN - 0.01).positions)
    assert not keeps_bonds(h2, hydrogen(bonds.BROKEN + 0.01).positions)
    assert forms_no_bonds(two, hydrogen(bonds.PERCEIVED + 0.01).positions)
    assert not forms_no_bonds(two, hydrogen(bonds.PERCEIVED - 0.01).positions)
    ordered = (bonds.FORMED, bonds.PERCEIVED, bonds.STRETCHED, bonds.SPRING)
    assert sorted(ordered) == list(ordered) and ordered[-1] < bonds.BROKEN


@pytest.mark.parametrize(
    ("words", "homes"),
    [
        # A picture of atoms draws them by their radii.
        ("covalent_radii", {"bonds.py", "figures_structures.py"}),
        ("ETKDGv3()", {"embed.py"}),
        ("GetMoleculeBoundsMatrix", {"embed.py"}),
    ],
)
def test_what_is_decided_once(words: str, homes: set[str]) -> None:
    package = Path(bonds.__file__).parents[1]
    found = {
        path.name for path in package.rglob("*.py") if words in path.read_text("utf-8")
    }
    assert found == homes
