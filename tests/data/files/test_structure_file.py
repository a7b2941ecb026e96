"""Files of structures: as many out as in, and nothing that a file says is lost."""

import gzip
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from ase_physml.charges import total_charge
from ase_physml.data.files.limits import check_dataset
from ase_physml.data.files.structure_file import read_structure_file
from ase_physml.errors import DataError, StructureError

WATER, METHANE = molecule("H2O"), molecule("CH4")
PDB_ATOM = (
    "HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O{}\n"
    "HETATM    2  H1  HOH A   1       0.000   0.000   0.960  1.00  0.00           H  \n"
)


def read(path: Path) -> list[Atoms]:
    found = list(read_structure_file(path))
    assert all(isinstance(atoms, Atoms) for atoms in found), found
    return [atoms for atoms in found if isinstance(atoms, Atoms)]


@pytest.mark.parametrize(
    "name",
    ["a.xyz", "a.extxyz", "a.traj", "a.db", "a.json", "a.pdb", "a.xyz.gz", "a.pdb.xz"],
)
def test_as_many_out_as_in(tmp_path: Path, name: str) -> None:
    # ASE writes all models of a PDB with the elements of the first.
    other = WATER if ".pdb" in name else METHANE
    ase.io.write(tmp_path / name, [WATER, other, WATER])
    found = read(tmp_path / name)
    assert [len(atoms) for atoms in found] == [3, len(other), 3]


@pytest.mark.parametrize("end", ["", "END\n", "END   \n\n"])
def test_models_of_a_pdb(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.pdb"
    ase.io.write(path, [WATER, WATER])
    path.write_text("REMARK\n" + path.read_text() + end)
    assert [len(atoms) for atoms in read(path)] == [3, 3]
    # Others write END after each, and no MODEL.
    path.write_text((PDB_ATOM.format("") + "TER\nEND\n") * 3)
    assert [len(atoms) for atoms in read(path)] == [2, 2, 2]


def test_cells_of_a_pdb(tmp_path: Path) -> None:
    path = tmp_path / "a.pdb"
    models = "".join(f"MODEL {k}\n{PDB_ATOM.format('')}ENDMDL\n" for k in (1, 2))
    cell = "CRYST1{0:9.3f}{0:9.3f}{0:9.3f}  90.00  90.00  90.00 P 1           1\n"
    path.write_text(cell.format(12.0) + models)
    assert [atoms.cell.lengths()[0] for atoms in read(path)] == [12.0, 12.0]
    path.write_text(cell.format(1.0) + models)
    assert not any(atoms.pbc.any() for atoms in read(path))


def test_what_a_pdb_says(tmp_path: Path) -> None:
    path = tmp_path / "a.pdb"
    path.write_text(PDB_ATOM.format("1-"))
    (ion,) = read(path)
    assert total_charge(ion).value == -1  # type: ignore[union-attr]
    line, _ = PDB_ATOM.format("").splitlines()
    twice = line[:16] + "A" + line[17:] + "\n" + line[:16] + "B" + line[17:] + "\n"
    for text, message in ((twice, "alternate"), (line + "\n", "without a hydrogen")):
        path.write_text(text)
        (error,) = read_structure_file(path)
        assert isinstance(error, StructureError) and message in str(error)


def test_partly_occupied_sites(tmp_path: Path) -> None:
    path = tmp_path / "a.cif"
    path.write_text(
        "data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n"
        "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n"
        "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n"
        "_atom_site_fract_y\n_atom_site_fract_z\n_atom_site_occupancy\n"
        "Cu1 Cu 0 0 0 0.5\n"
    )
    (error,) = read_structure_file(path)
    assert isinstance(error, StructureError) and "partly occupied" in str(error)
    path.write_text(path.read_text().replace("0.5", "1.0"))
    assert len(read(path)) == 1


def test_charges_that_a_file_has_as_results(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(
        "2\nProperties=species:S:1:pos:R:3:charge:R:1\nO 0 0 0 -0.9\nH 0 0 1 -0.08\n"
    )
    (atoms,) = read(path)
    assert atoms.info["charge"] == -1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.db", b"hello", "not an ASE database"),
        ("a.traj", b"hello", "cannot be read|neither"),
        ("a.traj", b"- of UlmASE-Trajectory  \3", "cannot be read"),
        ("a.xyz", b"", "empty"),
        ("a.xyz", b"\n\n", "holds no structure"),
        ("a.pdb", b"END\n", "holds no structure"),
        ("a.xyz.gz", b"\x1f\x8bnothing", "cannot be expanded"),
        ("a.foo", b"?", "neither ASE nor this package"),
        ("a.json", b"{", "cannot be read"),
        (
            "a.json",
            b'{"1": {"numbers": {"__ndarray__": [[900000000], "int64", [1]]}}}',
            "larger than the file",
        ),
        (
            "a.vasp",
            b"x\n1.0\n3 0 0\n0 3 0\n0 0 3\nH\n1000000000\nDirect\n0 0 0\n",
            "claims 1,000,000,000 atoms",
        ),
        ("a.gro", b"t\n1000000000\n    1WAT\n", "claims 1,000,000,000 atoms"),
    ],
)
def test_unusable(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        list(read_structure_file(path))
    assert "\n" not in str(raised.value) and str(path) in str(raised.value)


def test_truncated_trajectory(tmp_path: Path) -> None:
    path = tmp_path / "a.traj"
    ase.io.write(path, [WATER] * 5)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"a\.traj: cannot be read"):
        list(read_structure_file(path))


def test_what_expands_a_thousandfold(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(70):
            file.write(b"H 0 0 0\n" * 2**17)
    with pytest.raises(DataError, match="expands to more than 100 times"):
        list(read_structure_file(path))
    with pytest.raises(DataError, match="would take 6,000,000,000 in memory"):
        check_dataset(path, "positions", 6_000_000_000, 6_000_000)
    check_dataset(path, "positions", 6_000_000_000, 3_000_000_000)
    check_dataset(path, "fixed", 100_000_000, 0)


def test_periodic_ones_keep_their_moments(tmp_path: Path) -> None:
    iron = bulk("Fe")
    iron.set_initial_magnetic_moments([2.3])
    ase.io.write(tmp_path / "a.traj", iron)
    (atoms,) = read(tmp_path / "a.traj")
    assert "spin" not in atoms.info
    np.testing.assert_array_equal(atoms.get_initial_magnetic_moments(), [2.3])


def test_keys_of_a_database(tmp_path: Path) -> None:
    with ase.db.connect(tmp_path / "a.db") as rows:
        rows.write(WATER, total_charge=1)
    (atoms,) = read(tmp_path / "a.db")
    assert total_charge(atoms).value == 1  # type: ignore[union-attr]
