"""Files of SMILES: lines and tables, whoever wrote them."""

from pathlib import Path

import pytest
from ase.build import molecule
from ase.io import write

from ase_physml.data.files.smiles_file import SmilesFile, read_smiles
from ase_physml.errors import DataError


def read(tmp_path: Path, name: str, content: str | bytes, **how: str) -> SmilesFile:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_smiles(path, **how)


def molecules(found: SmilesFile) -> list[tuple[int, str, str]]:
    return [(row.line, row.smiles, row.name) for row in found.rows]


def test_lines(tmp_path: Path) -> None:
    text = "# ours\nCCO  ethyl alcohol \n\nC\tmethane\nO\nN,ammonia\r\nF;\n"
    assert molecules(read(tmp_path, "a.smi", text)) == [
        (2, "CCO", "ethyl alcohol"),
        (4, "C", "methane"),
        (5, "O", ""),
        (6, "N", "ammonia"),
        (7, "F", ""),
    ]


def test_what_chemaxon_puts_after_a_smiles(tmp_path: Path) -> None:
    text = "C[C@H](O)CC |&1:1,o2:3| racemate of it\nC |^1:0|\nCC |lone\n"
    with pytest.warns(UserWarning, match="line 1.* as the one isomer that is drawn"):
        found = read(tmp_path, "a.smi", text)
    assert molecules(found) == [
        (1, "C[C@H](O)CC |&1:1,o2:3|", "racemate of it"),
        (2, "C |^1:0|", ""),
        (3, "CC", "|lone"),
    ]
    found = read(tmp_path, "a.csv", 'smiles,x\n"C |^1:0|",2\nCCO a name,3\n')
    assert [row.smiles for row in found.rows] == ["C |^1:0|", "CCO"]


@pytest.mark.parametrize("head", ["SMILES", "smiles name", "canonical_smiles\tID"])
def test_a_line_that_names_the_columns_of_lines(tmp_path: Path, head: str) -> None:
    found = read(tmp_path, "a.smi", f"{head}\nCCO one\n")
    assert [row.smiles for row in found.rows] == ["CCO"]


@pytest.mark.parametrize("separator", [",", ";", "\t", ", ", " ; "])
@pytest.mark.parametrize(
    "column", ["smiles", "SMILES", "Canonical_SMILES", "Isomeric SMILES", "smiles "]
)
def test_tables(tmp_path: Path, separator: str, column: str) -> None:
    rows = [["id", column, "logP"], ["one", "C/C=C\\C", "1.5"], ["two", "CCO", ""]]
    text = "\n".join(separator.join(row) for row in rows)
    for name in ("a.csv", "a.txt"):
        found = read(tmp_path, name, text)
        assert molecules(found) == [(2, "C/C=C\\C", "one"), (3, "CCO", "two")]
        assert found.names == ("id", column.strip(), "logP")
        assert found.rows[0].cells[2].strip() == "1.5"


@pytest.mark.parametrize(
    "content",
    [
        "smiles,name\nCCO,Éthanol\n".encode("utf-8-sig"),
        "smiles\tname\nCCO\tÉthanol\n".encode("utf-16"),
        "sep=;\nsmiles;name\nCCO;Éthanol\n".encode(),
        "smiles,name\r\rCCO,Éthanol\r".encode(),
    ],
)
def test_codings(tmp_path: Path, content: bytes) -> None:
    found = read(tmp_path, "a.csv", content)
    assert [(row.smiles, row.name) for row in found.rows] == [("CCO", "Éthanol")]


def test_latin_1_is_read_and_said(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="not UTF-8, so read as Latin-1"):
        found = read(tmp_path, "a.csv", "smiles,name\nCCO,Éthanol\n".encode("latin-1"))
    assert found.rows[0].name == "Éthanol"


def test_rows_that_are_wrong_stand_where_they_were(tmp_path: Path) -> None:
    text = (
        "name,smiles,x\n"
        "a,CCO,1\n"
        "b, c,CC,2\n"  # a comma without quotes
        '"d\ne",C,3\n'
        'f,"CCC,4\n'  # a quote that is never closed
        "g,CN,5,,\n"
        "\n"
        "h,CF\n"
        '5" pipe,CCl,6\n'
    )
    found = read(tmp_path, "a.csv", text)
    assert [row.line for row in found.rows] == [2, 3, 4, 6, 7, 9, 10]
    assert [bool(row.problem) for row in found.rows] == [0, 1, 0, 0, 0, 0, 0]
    assert "4 cells under 3 column names" in found.rows[1].problem
    names = [row.name for row in found.rows]
    assert names == ["a", "b", "d\ne", "f", "g", "h", '5" pipe']
    assert [row.smiles for row in found.rows][-3:] == ["CN", "CF", "CCl"]


@pytest.mark.parametrize(
    ("name", "content", "column", "message"),
    [
        ("a.csv", "id,x\n1,2\n", None, r"0 columns called 'smiles' .*\(id, x\)"),
        ("a.csv", "CCO,1\nCC,2\n", None, "names of the first line"),
        ("a.csv", "a_smiles,b_smiles\nC,C\n", None, "2 columns"),
        ("a.csv", "smiles\nC\n", "x", "0 columns called 'x'"),
        ("a.csv", "smiles,x\n", None, "no molecules"),
        ("a.csv", "", None, "no rows"),
        ("a.csv", b"smiles\n\0\1", None, "not a text file"),
        ("a.smi", "C\n", "smiles", "without a column"),
        ("a.smi", "\n# none\n", None, "no molecules"),
    ],
)
def test_unusable(
    tmp_path: Path, name: str, content: str | bytes, column: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, name, content, column=column)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.xyz", "XYZ"),
        ("a.pdb", "PDB"),
        ("a.cif", "CIF"),
        ("a.traj", "trajectory"),
        ("a.db", "database"),
        ("a.vasp", "VASP"),
    ],
)
@pytest.mark.parametrize("ending", [None, ".smi", ".csv", ".txt", ""])
def test_structures_are_refused(
    tmp_path: Path, name: str, kind: str, ending: str | None
) -> None:
    path = tmp_path / name
    atoms = molecule("CH3CH2OH", cell=[9, 9, 9], pbc=True)
    write(path, atoms)
    if ending is not None:
        path = path.rename(path.with_suffix(ending))
    with pytest.raises(DataError, match=f"{kind}, not SMILES"):
        read_smiles(path)


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder"):
        read_smiles(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_smiles(tmp_path / "none.smi")
