"""SDF: every molecule, with its bonds, charges and hydrogens."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from rdkit import Chem
from rdkit.Chem import rdDepictor, rdDistGeom

from ase_physml.charges import multiplicity, total_charge
from ase_physml.data.files.structure_file import read_structure_file
from ase_physml.errors import DataError, StructureError


def mol(smiles: str, name: str = "", *, embed: bool = True) -> Chem.Mol:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if embed:
        assert rdDistGeom.EmbedMolecule(molecule, randomSeed=1) == 0
    molecule.SetProp("_Name", name)
    return molecule


def block(molecule: Chem.Mol, v3000: bool) -> str:
    write = Chem.MolToV3KMolBlock if v3000 else Chem.MolToMolBlock
    return str(write(molecule))


def found(path: Path, *blocks: str) -> list[Atoms | StructureError]:
    path.write_text("$$$$\n".join(blocks))
    return list(read_structure_file(path))


@pytest.mark.parametrize("v3000", [False, True])
@pytest.mark.parametrize("name", ["a.sdf", "a.mol", "a.SD", "a.txt"])
def test_every_molecule_is_read(tmp_path: Path, v3000: bool, name: str) -> None:
    molecules = [mol("CCO", "first"), mol("C/C=C\\C", "second"), mol("[2H]C")]
    read = found(tmp_path / name, *(block(m, v3000) for m in molecules))
    assert [len(a) for a in read if isinstance(a, Atoms)] == [9, 12, 5]
    first, second, heavy = read
    assert isinstance(first, Atoms) and isinstance(second, Atoms)
    assert first.info == {"name": "first", "smiles": "CCO"}
    assert second.info["smiles"] == "C/C=C\\C"
    positions = molecules[0].GetConformer().GetPositions()
    np.testing.assert_allclose(first.positions, positions, atol=1e-4)
    assert isinstance(heavy, Atoms)
    assert 2.0 < heavy.get_masses().min() < 2.1 or 1 < heavy.get_masses().min() < 1.1
    assert np.sum(np.abs(heavy.get_masses() - 2.014) < 0.01) == 1


@pytest.mark.parametrize("v3000", [False, True])
@pytest.mark.parametrize(
    ("smiles", "charge", "spin"),
    [
        ("CC(=O)[O-]", -1, 1),
        ("[O-]C(=O)C(=O)[O-]", -2, 1),
        ("C[NH3+]", 1, 1),
        ("[NH3+]CC(=O)[O-]", 0, 1),
        ("C[N+](=O)[O-]", 0, 1),
        ("[CH3]", 0, 2),
        ("[CH2]", 0, 3),
    ],
)
def test_charges_and_radicals(
    tmp_path: Path, v3000: bool, smiles: str, charge: int, spin: int
) -> None:
    (atoms,) = found(tmp_path / "a.sdf", block(mol(smiles), v3000))
    assert isinstance(atoms, Atoms)
    stated, paired = total_charge(atoms), multiplicity(atoms)
    assert (stated.value if stated else 0) == charge
    assert (paired.value if paired else 1) == spin


def test_charge_in_the_block_of_atoms(tmp_path: Path) -> None:
    text = block(mol("CC(=O)[O-]"), v3000=False)
    lines = [line for line in text.splitlines() if not line.startswith("M  CHG")]
    # Column 39: 5 is a charge of -1. The fourth atom is the ion.
    lines[7] = lines[7][:36] + "  5" + lines[7][39:]
    (atoms,) = found(tmp_path / "a.sdf", "\n".join(lines) + "\n")
    assert isinstance(atoms, Atoms)
    assert atoms.info["charge"] == -1
    assert atoms.get_initial_charges()[3] == -1


def test_charge_in_a_data_field(tmp_path: Path) -> None:
    text = block(mol("CCO"), v3000=False) + "> <PUBCHEM_TOTAL_CHARGE>\n-1\n\n"
    (atoms,) = found(tmp_path / "a.sdf", text)
    assert isinstance(atoms, Atoms)
    assert total_charge(atoms).value == -1  # type: ignore[union-attr]


def test_bad_molecules_stand_beside_good_ones(tmp_path: Path) -> None:
    whole = mol("Cc1ccccc1")
    good = block(whole, v3000=False)
    flat = mol("CCO", embed=False)
    rdDepictor.Compute2DCoords(flat)
    bad = {
        "lacks 8 hydrogens": block(Chem.RemoveHs(whole), v3000=False),
        "two dimensions": block(flat, v3000=False),
        "damaged or truncated": good[: len(good) // 2] + "\n",
        "of no element": good.replace(" C  ", " R# ", 1),
        "claims 1,000,000,000": block(whole, v3000=True).replace(
            "COUNTS 15", "COUNTS 1000000000"
        ),
        "valence": good.replace("  1  2  1  0", "  1  2  3  0"),
    }
    read = found(tmp_path / "a.sdf", good, *bad.values(), good)
    assert len(read) == 8
    assert isinstance(read[0], Atoms) and isinstance(read[-1], Atoms)
    for number, (error, text) in enumerate(zip(read[1:-1], bad, strict=True), 2):
        assert isinstance(error, StructureError)
        assert text in str(error) and f": molecule {number}" in str(error)


def test_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "a.sdf"
    path.write_text("\n\n")
    with pytest.raises(DataError, match="holds no structure"):
        list(read_structure_file(path))
