"""Structures from SMILES and files."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write

from ase_physml.errors import PhysMLError, StructureError
from ase_physml.workflows.inputs import from_smiles, read_inputs


@pytest.mark.parametrize(
    ("smiles", "formula"),
    [
        ("CC(=O)NC1CC1", "C5H9NO"),
        ("C", "CH4"),
        ("[H][H]", "H2"),
        # Formal charges that cancel are an ordinary molecule.
        ("C[N+](=O)[O-]", "CH3NO2"),
    ],
)
def test_smiles_get_their_hydrogens_and_sane_bonds(smiles: str, formula: str) -> None:
    atoms = from_smiles(smiles)
    assert Counter(atoms.symbols) == Counter(Atoms(formula).symbols)
    distances = atoms.get_all_distances()[np.triu_indices(len(atoms), 1)]
    assert distances.min() > 0.6


def test_the_seed_decides() -> None:
    first, same, other = (from_smiles("CCCCO", seed).positions for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0.1


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("molecule.xyz", "neither a file nor a valid SMILES"),
        ("C\udcff", "holds characters that no SMILES has"),
        ("CÉ", "holds characters that no SMILES has"),
        ("C\0C", "holds characters that no SMILES has"),
        ("C" * 10_001, "longer than 10,000"),
        ("C |^1:0|", "a radical"),
        ("CCO |Sg:n:0,1::ht|", "a polymer"),
        ("", "neither a file nor a valid SMILES"),
        ("C.O", "several molecules"),
        ("C[NH3+]", r"total charge \+1"),
        ("CC(=O)[O-]", "total charge -1"),
        ("[CH3]", "a radical"),
        ("[CH2]", "a radical"),
        ("*CC", "a dummy atom"),
    ],
)
def test_refusals(smiles: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StructureError, match=message):
        from_smiles(smiles)
    # One message is enough: RDKit's own stays silent.
    assert capfd.readouterr().err == ""


def found(*inputs: str | Path) -> dict[str, Atoms | PhysMLError]:
    return dict(read_inputs([str(text) for text in inputs]))


def test_every_frame_of_a_file_has_a_name(tmp_path: Path) -> None:
    write(tmp_path / "one.xyz", molecule("H2O"))
    write(tmp_path / "set.traj", [molecule("CH4")] * 11)
    names = list(found(tmp_path / "one.xyz", tmp_path / "set.traj"))
    assert names == ["one", *(f"set-{i:02d}" for i in range(11))]


def test_names_differ_even_where_case_does_not_count() -> None:
    result = found("c1ccccc1", "C1CCCCC1", "C", "C")
    assert len({name.casefold() for name in result}) == 4
    formulas = [a.get_chemical_formula() for a in result.values()]
    assert formulas == ["C6H6", "C6H12", "CH4", "CH4"]


def test_names_are_safe_for_files() -> None:
    (name,) = found("C/C=C\\C")
    assert not set(name) & set('/\\:*?"<>|')


def test_bad_inputs_are_reported_beside_good_ones(tmp_path: Path) -> None:
    for name, text in (("bad.xyz", "hello\n"), ("empty.xyz", ""), ("x.foo", "?")):
        (tmp_path / name).write_text(text)
    result = found(*sorted(tmp_path.iterdir()), "O")
    assert list(result) == ["bad", "empty", "x", "O"]
    *errors, water = result.values()
    for error, name in zip(errors, ("bad.xyz", "empty.xyz", "x.foo"), strict=True):
        assert isinstance(error, StructureError) and name in str(error)
    assert isinstance(water, Atoms) and water.get_chemical_formula() == "H2O"


def test_files_of_smiles(tmp_path: Path) -> None:
    (tmp_path / "some.smi").write_text("CO methanol\n\nO\nnonsense\n")
    (tmp_path / "none.smi").write_text("\n")
    (tmp_path / "some.txt").write_text("smiles;name\nC;methane\n")
    assert list(found(tmp_path / "some.txt")) == ["methane"]
    (tmp_path / "binary.smi").write_bytes(b"\xff\xfe\x00")
    names = [tmp_path / f"{name}.smi" for name in ("some", "none", "binary")]
    result = found(*names)
    assert list(result) == ["methanol", "O", "nonsense", "none", "binary"]
    methanol, water, *errors = result.values()
    for atoms, formula in ((methanol, "CH4O"), (water, "H2O")):
        assert isinstance(atoms, Atoms) and atoms.get_chemical_formula() == formula
    for error, text in zip(errors, ("nonsense", "none.smi", "binary.smi"), strict=True):
        assert isinstance(error, PhysMLError) and text in str(error)


def test_tables_of_smiles(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("id;mol\nwater;O\nbad;C(\nsalt;C.O\nlong;C;1;2\n")
    result = dict(read_inputs([str(table)], column="mol"))
    assert list(result) == ["water", "bad", "salt", "long"]
    water, *errors = result.values()
    assert isinstance(water, Atoms) and water.info["name"] == "water"
    for line, (error, text) in enumerate(
        zip(errors, ("valid", "several", "4 cells"), strict=True), 3
    ):
        assert isinstance(error, StructureError)
        assert f"a.csv, line {line}: " in str(error) and text in str(error)


def test_frames_before_the_damage_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("1\n\nHe 0 0 0\n\n1\n\nHe 0 0 1\n\n1\n\nHe 0 zero 0\n")
    *good, bad = found(path).items()
    assert [name for name, _ in good] == ["a-0", "a-1"]
    assert all(isinstance(atoms, Atoms) for _, atoms in good)
    assert bad[0] == "a-2" and "line 9" in str(bad[1])
