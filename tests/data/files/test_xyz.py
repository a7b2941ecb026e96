"""Extended XYZ: every frame, and texts that come back as they were."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from ase_physml.data.files.xyz import read_xyz, write_xyz
from ase_physml.errors import DataError

WATER = "3\n\nO 0 0 0\nH 0 0 1\nH 0 1 0\n"
TEXTS = [
    "C/C=C\\C",
    "F/C=C\\[N+](=O)[O-]",
    "F",
    "007",
    "1e5",
    "",
    " blanks ",
    'a "quoted" one\\',
    "two\nlines",
    "Éthanol",
    "a=b",
    "T F",
    "{[}",
    "_JSON x",
    "\ud800",
]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_back_to_ase_and_to_us(tmp_path: Path, text: str) -> None:
    atoms = molecule("H2O")
    atoms.info.update(smiles=text, energy_kind=[text, {"a": text}], nothing=None)
    atoms.calc = SinglePointCalculator(atoms, energy=-1.5, forces=np.ones((3, 3)))
    path = tmp_path / "a.xyz"
    write_xyz(path, [atoms, molecule("CH4")])
    for read in (ase.io.read(path, ":"), list(read_xyz(path))):
        first, second = read
        assert first.info["smiles"] == text
        assert first.info["energy_kind"] == [text, {"a": text}]
        assert "nothing" not in first.info
        assert first.get_potential_energy() == -1.5
        assert len(second) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["a.xyz"]


def test_backslashes_that_ase_wrote(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    for smiles in ("C/C=C\\C", "F/C=C\\[NH3]"):
        ase.io.write(path, Atoms("H", info={"smiles": smiles, "n": 3}))
        (found,) = read_xyz(path)
        assert found.info == {"smiles": smiles, "n": 3}


def test_empty_lines_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    text = "\n" + WATER + "\n \n" + WATER.replace("\n", "\r\n") + WATER + "\n\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [len(atoms) for atoms in read_xyz(path)] == [3, 3, 3]


def test_vectors_of_a_cell_after_the_atoms(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(WATER + "VEC1 3 0 0\nVEC2 0 3 0\nVEC3 0 0 3\n" + WATER)
    cell, none = read_xyz(path)
    assert cell.pbc.all()
    assert not none.pbc.any()


def test_comments_of_any_coding(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_bytes(b"1\nname=\xe9thanol\nH 0 0 0\n")
    (found,) = read_xyz(path)
    assert found.info["name"] == "éthanol"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", "line 1 should be the number of atoms .* 'hello'"),
        ("-3\n\n", "line 1 should be"),
        (WATER + "x\n", "line 6 should be the number"),
        ("1000000000\n\nH 0 0 0\n", "line 1 claims 1,000,000,000 atoms; .* more than"),
        ("4000\n\nH 0 0 0\n", "line 1 claims 4,000 atoms, but 9 bytes follow"),
        (WATER.replace("H 0 0 1\n", "\n") + 9 * " ", "line 4 is empty or missing"),
        (WATER.removesuffix("H 0 1 0\n") + "\n" * 40, "empty or missing"),
        (WATER.replace("O", "Qq"), "line 1 cannot be read"),
        (WATER.replace("0 0 1", "0 zero 1"), "line 1 cannot be read"),
        ("1\nProperties=species:S:1:pos:R:99999999\nH 0 0 0\n", "too many columns"),
    ],
)
def test_damage_is_named_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        list(read_xyz(path))
