"""Importers, on small files in exactly the published layouts."""

from collections.abc import Callable
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

from ase_physml.data.dataset import RaggedSet, check
from ase_physml.data.frame import Frame
from ase_physml.data.importers.importer import Options
from ase_physml.data.importers.opening import convert, open_source
from ase_physml.errors import DataError

LEVEL = "wB97x_6-31G(d)"


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


def _reaction(group: h5py.Group, frames: int, atoms: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    for points, count in (
        (group, frames),
        *((group.create_group(p), 1) for p in ("reactant", "transition_state")),
        (group.create_group("product"), 1),
    ):
        points["atomic_numbers"] = random.choice([1, 6, 8], atoms)
        points["positions"] = random.normal(size=(count, atoms, 3))
        points[f"{LEVEL}.energy"] = random.normal(size=count) - 4000.0
        points[f"{LEVEL}.forces"] = random.normal(size=(count, atoms, 3))


@pytest.fixture
def transition1x(tmp_path: Path) -> Path:
    path = tmp_path / "Transition1x.h5"
    with h5py.File(path, "w") as file:
        _reaction(file.create_group("data/C2H4/rxn0001"), 1500, 6, 1)
        _reaction(file.create_group("data/C2H4/rxn0002"), 4, 6, 2)
        _reaction(file.create_group("data/C3H6/rxn0003"), 7, 9, 3)
        file["train/C2H4"] = h5py.SoftLink("/data/C2H4")
        file["test/C3H6"] = h5py.SoftLink("/data/C3H6")
    return path


def test_transition1x_paths(transition1x: Path, tmp_path: Path) -> None:
    source = open_source(transition1x)
    assert source.importer.name == "transition1x"
    assert source.count() == 1511
    out = tmp_path / "out.h5"
    assert convert(source, out, precision="f4") == 1511
    data = check(out)
    assert data.metadata.level_of_theory == "wB97X/6-31G(d)"
    assert data.metadata.equilibrium is False
    with h5py.File(transition1x) as file:
        group = file["data/C2H4/rxn0001"]
        frame = data[1300]
        assert frame.name == "C2H4/rxn0001/1300"
        assert frame.energy == group[f"{LEVEL}.energy"][1300]
        np.testing.assert_array_equal(frame.numbers, group["atomic_numbers"][:])
        expected = group[f"{LEVEL}.forces"][1300].astype(np.float32)
        np.testing.assert_array_equal(frame.forces, expected)


def test_transition1x_parts_and_stationary_points(transition1x: Path) -> None:
    test = open_source(transition1x, "auto", Options(part="test"))
    assert {f.name.split("/")[1] for f in test if f.name} == {"rxn0003"}
    assert test.metadata.extra == {"part": "test"}
    points = list(open_source(transition1x, "auto", Options(stationary=True)))
    assert [f.name for f in points][:3] == [
        "C2H4/rxn0001/reactant/0",
        "C2H4/rxn0001/transition_state/0",
        "C2H4/rxn0001/product/0",
    ]
    assert len(points) == 9
    with pytest.raises(DataError, match="no part 'val'; choose --part data, train, te"):
        list(open_source(transition1x, "auto", Options(part="val")))


def test_transition1x_samples_reactions(transition1x: Path, tmp_path: Path) -> None:
    five = Options(per_reaction=5)
    source = open_source(transition1x, "auto", five)
    assert source.count() == 5 + 4 + 5
    names = [frame.name for frame in source]
    drawn = [int(name.split("/")[2]) for name in names if name and "rxn0001" in name]
    assert drawn == sorted(set(drawn))
    assert 0 <= drawn[0] < drawn[-1] < 1500
    assert [f.name for f in open_source(transition1x, "auto", five)] == names
    everything = {f.name: f for f in open_source(transition1x)}
    for frame in source:
        np.testing.assert_array_equal(frame.positions, everything[frame.name].positions)
    assert source.metadata.extra == {"part": "data", "per_reaction": 5}
    both = Options(per_reaction=5, stationary=True)
    with pytest.raises(DataError, match="give --stationary or --per-reaction"):
        list(open_source(transition1x, "auto", both))


def test_transition1x_without_forces(transition1x: Path) -> None:
    with h5py.File(transition1x, "a") as file:
        del file[f"data/C2H4/rxn0002/{LEVEL}.forces"]
    source = open_source(transition1x)
    assert source.count() is None
    with pytest.raises(DataError, match=r"/data/C2H4/rxn0002 has no dataset .*forces"):
        list(source)


@pytest.fixture
def ani1(tmp_path: Path) -> Path:
    path = tmp_path / "ani1.h5"
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for i, species in enumerate(["CHHHH", "NHHH"]):
            group = file.create_group(f"gdb11_s01/gdb11_s01-{i}")
            group["species"] = np.array(list(species), dtype="S1")
            group["coordinates"] = random.normal(size=(5, len(species), 3))
            group["energies"] = np.linspace(-40.5, -40.1, 5)
            group["coordinatesHE"] = random.normal(size=(2, len(species), 3))
            group["energiesHE"] = np.zeros(2)
            group["smiles"] = np.array(list("[" + species[0] + "]"), dtype="S1")
    return path


def test_ani1(ani1: Path) -> None:
    source = open_source(ani1)
    frames = list(source)
    assert source.importer.name == "ani1"
    assert source.count() == len(frames) == 10
    assert frames[0].numbers.tolist() == [6, 1, 1, 1, 1]
    assert frames[0].energy == pytest.approx(-40.5 * Hartree, abs=1e-9)
    assert (frames[6].name, frames[6].smiles) == ("gdb11_s01-1/1", "[N]")
    assert frames[6].forces is None


def test_ani1_with_unknown_species(ani1: Path) -> None:
    with h5py.File(ani1, "a") as file:
        file["gdb11_s01/gdb11_s01-1/species"][0] = b"Q"
    with pytest.raises(DataError, match="gdb11_s01-1: no element 'Q'"):
        list(open_source(ani1))


@pytest.fixture
def ani1x(tmp_path: Path) -> Path:
    path = tmp_path / "ani1x.h5"
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for formula, numbers in (("C1H4", [6, 1, 1, 1, 1]), ("O1H2", [8, 1, 1])):
            group = file.create_group(formula)
            shape = (6, len(numbers), 3)
            group["atomic_numbers"] = np.array(numbers, np.uint8)
            group["coordinates"] = random.normal(size=shape).astype("f4")
            group["wb97x_dz.energy"] = np.linspace(-76.5, -76.0, 6)
            group["wb97x_dz.forces"] = random.normal(size=shape).astype("f4")
            group["ccsd(t)_cbs.energy"] = [np.nan, -76.4] * 3
        file["O1H2/wb97x_dz.energy"][2] = np.nan
        file["O1H2/wb97x_dz.forces"][3, 1] = np.nan
    return path


def test_ani1x_leaves_out_what_has_no_label(ani1x: Path) -> None:
    source = open_source(ani1x)
    frames = list(source)
    assert (source.importer.name, source.count(), len(frames)) == ("ani1x", 12, 10)
    assert source.notes.left_out == {"no wb97x_dz.energy or its forces (NaN)": 2}
    assert [f.name for f in frames][6:] == [f"O1H2/{i}" for i in (0, 1, 4, 5)]
    with h5py.File(ani1x) as file:
        expected = file["C1H4/wb97x_dz.forces"][1].astype(np.float64) * Hartree
    np.testing.assert_allclose(frames[1].forces, expected)
    assert frames[0].energy == pytest.approx(-76.5 * Hartree)


def test_ani1x_at_another_level(ani1x: Path) -> None:
    source = open_source(ani1x, "auto", Options(energy_key="ccsd(t)_cbs.energy"))
    frames = list(source)
    assert source.metadata.level_of_theory == "CCSD(T)*/CBS"
    assert len(frames) == 6
    assert {f.energy for f in frames} == {-76.4 * Hartree}
    assert all(f.forces is None for f in frames)
    with pytest.raises(DataError, match=r"/C1H4 has no dataset 'hf.energy', only ato"):
        list(open_source(ani1x, "auto", Options(energy_key="hf.energy")))


def test_own_layout_in_other_units(
    make_set: Callable[[], Path], frames: list[Frame], tmp_path: Path
) -> None:
    path, out = make_set(), tmp_path / "out.h5"
    with h5py.File(path, "a") as file:
        file["energy"][:] /= Hartree
        file["positions"][:] /= Bohr
        file["forces"][:] /= Hartree / Bohr
        file.attrs["length_unit"] = "bohr"
        file.attrs["energy_unit"] = "Hartree"
        file.attrs["forces_unit"] = "Hartree/bohr"
    assert convert(open_source(path), out) == len(frames)
    data = check(out)
    assert data.metadata == RaggedSet(path, any_units=True).metadata
    for found, expected in zip(data, frames, strict=True):
        assert found.energy == pytest.approx(expected.energy)
        np.testing.assert_allclose(found.positions, expected.positions)
        np.testing.assert_allclose(found.forces, expected.forces)
    with pytest.raises(DataError, match="is the file to read"):
        convert(open_source(path), path)


def test_own_layout_without_stated_units(
    make_set: Callable[[], Path], frames: list[Frame], tmp_path: Path
) -> None:
    path, out = make_set(), tmp_path / "out.h5"
    with h5py.File(path, "a") as file:
        del file.attrs["energy_unit"], file.attrs["forces_unit"]
    convert(open_source(path, "auto", Options(energy_unit="kJ/mol")), out, limit=3)
    data = check(out)
    assert len(data) == 3
    assert data[0].energy == pytest.approx(frames[0].energy * 0.010364269)
    np.testing.assert_allclose(
        data[0].forces, frames[0].forces * 0.010364269, rtol=1e-6
    )


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


def test_ani2x(tmp_path: Path) -> None:
    path = tmp_path / "ANI-2x-wB97X-631Gd.h5"
    species, random = np.array([[8, 1, 1], [16, 1, 1]]), np.random.default_rng(0)
    places, forces = random.normal(size=(2, 2, 3, 3))
    with h5py.File(path, "w") as file:
        for name, count in (("003", 3), ("002", 2)):
            group = file.create_group(name)
            group["species"], group["coordinates"] = (
                species[:, :count],
                places[:, :count],
            )
            group["energies"] = np.array([-1.0, -2.0])
            group["forces"] = forces[:, :count]
    source = open_source(path)
    frames = list(source)
    assert (source.importer.name, source.count()) == ("ani2x", 4)
    assert source.metadata.level_of_theory == "wB97X/6-31G(d)"
    assert [f.name for f in frames] == ["002/0", "002/1", "003/0", "003/1"]
    np.testing.assert_array_equal(frames[3].numbers, species[1])
    np.testing.assert_array_equal(frames[3].positions, places[1])
    assert frames[3].energy == -2.0 * Hartree
    np.testing.assert_array_equal(frames[3].forces, forces[1] * Hartree)
