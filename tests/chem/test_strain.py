"""Stereoisomers that cannot exist are refused, strained molecules are not."""

import pytest

from ase_physml.chem.embed import with_hydrogens
from ase_physml.chem.geometry import some_geometry
from ase_physml.chem.stereo import keeps_stereo
from ase_physml.errors import DataError


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
    assert keeps_stereo(molecule, some_geometry(molecule))


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
        some_geometry(with_hydrogens(smiles))


def test_what_is_left_open_comes_out_possible() -> None:
    molecule = with_hydrogens("c1cc2n(c1)CC1CNCC2C1")
    for seed in range(4):
        assert some_geometry(molecule, seed).shape == (molecule.GetNumAtoms(), 3)
