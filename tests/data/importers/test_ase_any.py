"""Files of any format of ASE, and files of none."""

from pathlib import Path

import ase.db
import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import Bohr, Hartree

from ase_physml.data.dataset import check
from ase_physml.data.importers.importer import Options
from ase_physml.data.importers.opening import convert, open_source
from ase_physml.errors import DataError


def labelled(name: str, seed: int) -> Atoms:
    random = np.random.default_rng(seed)
    atoms = molecule(name)
    atoms.rattle(0.05, seed=seed)
    forces = random.normal(size=(len(atoms), 3))
    atoms.calc = SinglePointCalculator(atoms, energy=-10.0 - seed, forces=forces)
    return atoms


@pytest.fixture
def images() -> list[Atoms]:
    return [labelled(name, i) for i, name in enumerate(["H2O", "CH4", "CH3OH"])]


@pytest.mark.parametrize("name", ["a.xyz", "a.extxyz", "a.traj", "a.db", "a.json"])
def test_everything_of_ase(tmp_path: Path, images: list[Atoms], name: str) -> None:
    path = tmp_path / name
    ase.io.write(path, images)
    source = open_source(path)
    frames = list(source)
    assert source.importer.name == "ase"
    assert source.count() in (None, 3)
    assert source.notes.labels == {"energy": 3, "forces": 3}
    for frame, atoms in zip(frames, images, strict=True):
        np.testing.assert_array_equal(frame.numbers, atoms.numbers)
        np.testing.assert_allclose(frame.positions, atoms.positions, atol=1e-7)
        assert frame.energy == atoms.get_potential_energy()
        np.testing.assert_allclose(frame.forces, atoms.get_forces(), atol=1e-7)


def test_ref_keys_of_extended_xyz(tmp_path: Path, images: list[Atoms]) -> None:
    for atoms in images:
        atoms.info["REF_energy"] = atoms.get_potential_energy() - 5.0
        atoms.arrays["REF_forces"] = atoms.get_forces() * 2.0
    path, out = tmp_path / "a.xyz", tmp_path / "a.h5"
    ase.io.write(path, images)
    source = open_source(path)
    changes = {"level_of_theory": "PBE", "equilibrium": False}
    assert convert(source, out, changes) == 3
    data = check(out)
    assert data.metadata.level_of_theory == "PBE"
    assert data.metadata.extra == {"label_keys": ["REF_energy", "REF_forces"]}
    np.testing.assert_allclose(data.column("energy"), [-15.0, -16.0, -17.0])
    np.testing.assert_allclose(data[1].forces, images[1].get_forces() * 2, atol=1e-7)


def test_keys_of_a_database(tmp_path: Path, images: list[Atoms]) -> None:
    with ase.db.connect(tmp_path / "a.db") as rows:
        for atoms in images:
            plain = Atoms(atoms.numbers, atoms.positions)
            data = {"dft_forces": atoms.get_forces()}
            rows.write(plain, dft_energy=atoms.get_potential_energy(), data=data)
    frames = list(open_source(tmp_path / "a.db"))
    assert [f.energy for f in frames] == [-10.0, -11.0, -12.0]
    np.testing.assert_allclose(frames[2].forces, images[2].get_forces())


def test_labels_of_two_methods_are_not_mixed(
    tmp_path: Path, images: list[Atoms]
) -> None:
    images[2].info["REF_energy"] = -1.0
    path = tmp_path / "a.xyz"
    ase.io.write(path, images)
    with pytest.raises(DataError, match=r"under 'energy' in .*'REF_energy' .*--energy"):
        list(open_source(path))
    chosen = Options(energy_key="energy")
    assert [f.energy for f in open_source(path, "auto", chosen)] == [-10, -11, -12]


def test_units_are_converted(tmp_path: Path, images: list[Atoms]) -> None:
    path = tmp_path / "a.traj"
    ase.io.write(path, images)
    options = Options(energy_unit="Hartree", forces_unit="Hartree/bohr")
    frames = list(open_source(path, "ase", options))
    assert frames[0].energy == pytest.approx(-10 * Hartree, abs=1e-12)
    expected = images[0].get_forces() * Hartree / Bohr
    np.testing.assert_allclose(frames[0].forces, expected)
    frames = list(open_source(path, "ase", Options(energy_unit="kcal/mol")))
    assert frames[0].energy == pytest.approx(-10 * 0.0433641, abs=1e-5)
    np.testing.assert_allclose(
        frames[0].forces, images[0].get_forces() * 0.0433641, rtol=1e-5
    )
    with pytest.raises(DataError, match="energy unit 'erg' is not known"):
        open_source(path, "ase", Options(energy_unit="erg"))
    with pytest.raises(DataError, match="length unit 'inch' is not known"):
        open_source(path, "ase", Options(forces_unit="eV/inch"))


def test_what_cannot_be_stored_is_counted(tmp_path: Path, images: list[Atoms]) -> None:
    images[0].info["charge"] = 1
    images[1].positions[0] = np.nan
    path = tmp_path / "a.xyz"
    ase.io.write(path, images)
    source = open_source(path)
    assert [f.energy for f in source] == [-12.0]
    assert source.notes.left_out == {"charged": 1, "a position is NaN or infinite": 1}
    ase.io.write(path, images[:1])
    with pytest.raises(DataError, match="no frame can be stored; 1 were left out: cha"):
        convert(open_source(path), tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


def test_a_file_damaged_in_the_middle(tmp_path: Path, images: list[Atoms]) -> None:
    path = tmp_path / "a.xyz"
    ase.io.write(path, images)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:7], "C what is this", *lines[8:]]))
    out = tmp_path / "a.h5"
    with pytest.raises(DataError, match=r"a\.xyz: the structure in line 6 cannot"):
        convert(open_source(path), out)
    assert not out.exists()


def test_files_of_no_known_format(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(DataError, match="no such file"):
        open_source(path)
    with pytest.raises(DataError, match="a folder"):
        open_source(tmp_path)
    path.touch()
    with pytest.raises(DataError, match="the file is empty"):
        open_source(path)
    path.write_text("smiles,value\nC,1\n")
    with pytest.raises(DataError, match="neither ASE nor this package"):
        list(open_source(path))
    with pytest.raises(DataError, match="format 'sdf' is not one of auto, physml, tr"):
        open_source(path, "sdf")
    with pytest.raises(DataError, match="'ase' has no option --part"):
        open_source(path, "ase", Options(part="train"))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["weights/first"] = np.zeros(3)
    with pytest.raises(DataError, match=r"no layout known here .*weights"):
        open_source(tmp_path / "b.h5")


def test_charged_and_open_shells_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    neutral, *others = (molecule("H2O") for _ in range(5))
    neutral.arrays["charge"] = np.array([-0.82, 0.41, 0.409])  # to three digits
    infos = ({"total_charge": -1}, {"multiplicity": 3}, {"uhf": 1}, {"charge": "a b"})
    for atoms, info in zip(others, infos, strict=True):
        atoms.info.update(info)
    ase.io.write(path, [neutral, *others])
    source = open_source(path)
    assert len(list(source)) == 1
    *counted, odd = source.notes.left_out
    assert counted == ["charged", "multiplicity 3", "multiplicity 2"]
    assert "must be one number" in odd


def test_records_of_an_sdf_that_are_bad_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.sdf"
    ase.io.write(path, molecule("H2O"))
    # Without bonds oxygen lacks hydrogens, and so do they.
    (reason,) = [r for r in _left_out(path) if "lacks" in r]
    assert "molecule 1 lacks" in reason


def _left_out(path: Path) -> list[str]:
    source = open_source(path)
    list(source)
    return list(source.notes.left_out)


@pytest.mark.parametrize("name", ["a.db", "a.traj"])
def test_files_that_are_none_cannot_be_counted(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"- of UlmASE-Trajectory  \3\0")
    assert open_source(path).count() is None
    with pytest.raises(DataError):
        list(open_source(path))
