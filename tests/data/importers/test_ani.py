"""Sets of ANI potentials, on small files in exactly the published layouts."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from ase.units import Hartree

from ase_physml.data.importers.importer import Options
from ase_physml.data.importers.opening import open_source
from ase_physml.errors import DataError


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
