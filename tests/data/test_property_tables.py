"""Tables of properties in the columns in which they are published."""

from pathlib import Path

import numpy as np
import pytest

from ase_physml.data.property_tables import FORMATS, TableFormat, read_table
from ase_physml.errors import DataError

ESOL = (
    "Compound ID,ESOL predicted log solubility in mols per litre,Minimum Degree,"
    "measured log solubility in mols per litre,smiles\n"
    "Amigdalin,-0.974,1,-0.77,OCC3OC(O)C3 \n"
    "Fenfuram,-2.885,1,-3.3,Cc1occc1C\n"
)
FREESOLV = (
    'iupac,smiles,expt,calc\n"4-methoxy-N,N-dimethyl-benzamide",CO,-11.01,-9.625\n'
)
LIPOPHILICITY = "CMPD_CHEMBLID,exp,smiles\nCHEMBL596271,3.54,Cn1c\n"


def table_of(name: str, cells: list[str], extra: str = "") -> str:
    """One row in the columns of a set."""
    columns = FORMATS[name]
    header = (
        [*columns.targets, extra, columns.smiles]
        if extra
        else [
            columns.smiles,
            *columns.targets,
        ]
    )
    return ",".join(header) + "\n" + ",".join(cells) + "\n"


@pytest.fixture
def write(tmp_path: Path):  # noqa: ANN201 - a function
    def write_(text: str) -> Path:
        path = tmp_path / "table.csv"
        path.write_text(text)
        return path

    return write_


@pytest.mark.parametrize(
    ("text", "name", "smiles", "target"),
    [
        (ESOL, "esol", "OCC3OC(O)C3", -0.77),
        (FREESOLV, "freesolv", "CO", -11.01),
        (LIPOPHILICITY, "lipophilicity", "Cn1c", 3.54),
    ],
)
def test_regression_sets(write, text, name, smiles, target) -> None:  # noqa: ANN001
    table = read_table(write(text))
    assert table.format.name == name
    assert table.smiles[0] == smiles
    assert table.targets[0].tolist() == [target]


def test_tox21(write) -> None:  # noqa: ANN001
    cells = ["0", "1", "", "", *["0"] * 8, "TOX3020", "CCO"]
    table = read_table(write(table_of("tox21", cells, "mol_id")))
    assert (table.format.name, table.format.task) == ("tox21", "classification")
    expected = [0, 1, np.nan, np.nan, *[0] * 8]
    np.testing.assert_array_equal(table.targets, [expected])


def test_sars_cov_2(write) -> None:  # noqa: ANN001
    cells = ["CCO", "3", "", *["0"] * 10, "2"]
    table = read_table(write(table_of("sars_cov_2", cells)))
    assert (table.format.task, table.format.classes) == ("multiclass", 4)
    np.testing.assert_array_equal(table.targets, [[3, np.nan, *[0] * 10, 2]])


def test_a_table_of_ones_own(write) -> None:  # noqa: ANN001
    path = write("name,structure,boiling point\nethanol,CCO,351.4\n")
    own = TableFormat("boiling", "structure", ("boiling point",), unit="K")
    table = read_table(path, own)
    assert table.targets.tolist() == [[351.4]]
    with pytest.raises(DataError, match="columns of no set known here"):
        read_table(path)
    with pytest.raises(DataError, match="0 columns called 'smiles'"):
        read_table(path, "esol")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        ("smiles,exp\n", "no molecules"),
        ("smiles,exp\nC,1,2\n", "line 2: 3 cells under 2"),
        ("smiles,exp\nC,high\n", "line 2: column 'exp' holds 'high', no value"),
        ("smiles,exp\nC,inf\n", "line 2: column 'exp'"),
        (table_of("sars_cov_2", ["C", "4", *["0"] * 12]), "multiclass"),
        (table_of("sars_cov_2", ["C", "0.5", *["0"] * 12]), "multiclass"),
        (table_of("tox21", ["2", *["0"] * 11, "", "C"], "mol_id"), "classification"),
    ],
)
def test_refused(write, text, message) -> None:  # noqa: ANN001
    with pytest.raises(DataError, match=message):
        read_table(write(text))


def test_missing_file_and_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "some.csv").write_text(LIPOPHILICITY)
    with pytest.raises(DataError, match="'qm99' is not one of auto, esol"):
        read_table(tmp_path / "some.csv", "qm99")
