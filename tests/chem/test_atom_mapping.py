"""Mapped reactions: one order of atoms on both sides, and hydrogens that are alike."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from ase_physml.chem.atom_mapping import read_reaction, unmapped
from ase_physml.errors import DataError

ENOL = "[CH3:1][C:2](=[O:3])[CH3:4]>>[CH3:1][C:2]([OH:3])=[CH2:4]"


def numbers(molecule: Chem.Mol) -> list[int]:
    return [atom.GetAtomicNum() for atom in molecule.GetAtoms()]


def neighbours(molecule: Chem.Mol, atom: int) -> list[int]:
    """Hydrogens on an atom."""
    around = molecule.GetAtomWithIdx(atom).GetNeighbors()
    return [n.GetIdx() for n in around if n.GetAtomicNum() == 1]


def test_atoms_stand_in_the_order_of_their_numbers() -> None:
    reaction = read_reaction("[O:3]=[CH:7][CH3:1]>>[CH2:1]=[CH:7][OH:3]")
    for end in (reaction.reactant, reaction.product):
        assert numbers(end) == [6, 8, 6, 1, 1, 1, 1]
        assert not any(atom.GetAtomMapNum() for atom in end.GetAtoms())
    # A hydrogen, of which none has a number, goes from carbon 0 to oxygen 1.
    (pair,) = reaction.formed()
    assert pair[0] == 1 and pair[1] in reaction.hydrogens
    assert reaction.reactant.GetBondBetweenAtoms(0, pair[1]) is not None
    ((_, leaves),) = reaction.reverse().formed()
    assert leaves == pair[1]


def test_mapped_hydrogens_keep_their_numbers() -> None:
    smiles = "[C:1]([H:2])([H:3])=[O:4]>>[C-:1]#[O+:4].[H:3][H:2]"
    reaction = read_reaction(smiles)
    assert numbers(reaction.product) == [6, 1, 1, 8]
    assert reaction.formed() == [(1, 2)]
    # Each has its own owners, so that nothing is exchanged, however near.
    positions = np.arange(12.0).reshape(4, 3)
    swapped = positions[[0, 2, 1, 3]]
    assert reaction.match(positions, swapped).tolist() == [0, 1, 2, 3]


def test_hydrogens_that_are_alike_are_matched_by_their_places() -> None:
    reaction = read_reaction(
        "[C:1]([H:3])([H:4])([H:5])[O:2][H:6]>>[C:1]([H:3])([H:4])([H:5])[O:2][H:6]"
    )
    positions = np.random.default_rng(0).normal(size=(6, 3))
    order = [0, 1, 3, 4, 2, 5]
    found = reaction.match(positions, positions[order])
    assert np.array_equal(positions[order][found], positions)
    # That of the oxygen is another, whatever lies near.
    far = positions.copy()
    far[[2, 5]] = far[[5, 2]]
    assert reaction.match(positions, far)[5] == 5


def test_the_nearest_hydrogen_leaves() -> None:
    reaction = read_reaction(ENOL)
    molecule = Chem.Mol(reaction.reactant)
    assert AllChem.EmbedMolecule(molecule, randomSeed=3) == 0
    positions = molecule.GetConformer().GetPositions()
    carbon, oxygen = 3, 2
    away = np.linalg.norm(positions - positions[oxygen], axis=1)
    nearest = min(neighbours(reaction.reactant, carbon), key=away.__getitem__)
    handed = reaction.handed_over(positions)
    (arrived,) = neighbours(reaction.product, oxygen)
    assert np.array_equal(handed[arrived], positions[nearest])
    assert sorted(map(tuple, handed)) == sorted(map(tuple, positions))


def test_stereochemistry_survives_the_order() -> None:
    side = "[F:9][C@:3]([Cl:2])([Br:5])/[CH:1]=[CH:4]/[CH3:7]"
    reaction = read_reaction(f"{side}>>{side}")
    molecule = Chem.MolFromSmiles(side)
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
    found = Chem.MolToSmiles(Chem.RemoveHs(reaction.product))
    assert found == Chem.MolToSmiles(molecule)


def test_carbenes_are_closed_shells() -> None:
    reaction = read_reaction("[CH3:1][CH:2]>>[CH2:1]=[CH2:2]")
    atoms = reaction.reactant.GetAtoms()
    assert not any(atom.GetNumRadicalElectrons() for atom in atoms)


@pytest.mark.parametrize(
    ("smiles", "match"),
    [
        ("CC", "is no reaction"),
        ("[CH4:1]>[OH2:2]>[CH4:1]", "is no reaction"),
        ("[CH4:1]>>", "is no reaction"),
        ("[CH4:1]>>[CH4:1", "not a valid SMILES"),
        ("C[CH3:1]>>C[CH3:1]", r"atom 0 \(C\) has no map number"),
        ("[CH3:1][CH3:1]>>[CH3:1][CH3:1]", "two atoms are number 1"),
        ("[CH3:1][CH3:2]>>[CH3:1][NH2:2]", "atom 2 is C before and N after"),
        ("[CH3:1][CH3:2]>>[CH4:1]", "atom 2 is C before and nothing after"),
        ("[CH3:1][CH3:2]>>[CH2:1]=[CH2:2]", "6 hydrogens before and 4 after"),
        ("[CH3:1][CH3:2]>>[CH2:1]=[CH2:2].[H][H]", "map the hydrogens of H2"),
        ("[NH4+:1]>>[NH4+:1]", "not ions"),
    ],
)
def test_what_is_no_mapped_reaction(smiles: str, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read_reaction(smiles)


def test_maps_come_off_smiles() -> None:
    assert unmapped("[CH3:1][C:2](=[O:3])[H:4]") == "CC=O"
    assert unmapped("rxn000042") == "rxn000042"
