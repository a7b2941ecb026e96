"""Each way a file can be wrong has an error of its own."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from ase_physml.data.dataset import RaggedSet, check
from ase_physml.errors import DataError

Damage = Callable[[h5py.File], None]


def _replace(name: str, change: Callable[[np.ndarray], object]) -> Damage:
    def damage(file: h5py.File) -> None:
        values = file[name][:]
        del file[name]
        file[name] = change(values)

    return damage


def _set(name: str, index: int, value: float) -> Damage:
    def change(values: np.ndarray) -> np.ndarray:
        values[index] = value
        return values

    return _replace(name, change)


def _attribute(key: str, value: str | None) -> Damage:
    def damage(file: h5py.File) -> None:
        del file.attrs[key]
        if value is not None:
            file.attrs[key] = value

    return damage


def _remove(name: str) -> Damage:
    return lambda file: file.__delitem__(name)


def _group(file: h5py.File) -> None:
    del file["positions"]
    file.create_group("positions")


def test_a_good_set_passes(make_set: Callable[[], Path]) -> None:
    assert len(check(make_set())) == 30


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_remove("positions"), "no dataset 'positions'.*physml data import"),
        (_remove("n_atoms"), "no dataset 'n_atoms'"),
        (_group, "positions is a group"),
        (_replace("n_atoms", lambda v: v[:-1]), r"rows, but n_atoms asks for \d+"),
        (_replace("positions", lambda v: v[:-1]), "positions has .* rows, but"),
        (_replace("forces", lambda v: v[1:]), "forces has .* rows, but"),
        (_replace("energy", lambda v: v[1:]), "energy has 29 rows, but .* 30"),
        (_replace("positions", lambda v: v[:, :2]), r"shape .*expected \(rows, 3\)"),
        (_replace("energy", lambda v: v[0]), r"energy has shape \(\)"),
        (_replace("n_atoms", lambda v: v.astype(float)), "n_atoms has dtype float64"),
        (_replace("positions", lambda v: v.astype(int)), "dtype int64.*real numbers"),
        (_replace("atomic_numbers", lambda v: v / 2), "must hold integers"),
        (_replace("name", lambda v: np.arange(len(v))), "must hold text"),
        (_set("n_atoms", 4, 0), "n_atoms of frame 4 is 0"),
        (_set("n_atoms", 5, -2), "n_atoms of frame 5 is -2"),
        (_set("atomic_numbers", 0, 0), "atomic_numbers has 0 in frame 0"),
        (_set("atomic_numbers", -1, 119), "atomic_numbers has 119 in frame 29"),
        (_set("positions", -1, np.nan), "positions of frame 29 is not finite"),
        (_set("forces", 0, np.inf), "forces of frame 0 is not finite"),
        (_set("energy", 3, np.inf), "energy of frame 3 is not finite"),
        (_attribute("energy_unit", "Hartree"), "energy_unit is 'Hartree'.* eV"),
        (_attribute("length_unit", "bohr"), "length_unit is 'bohr'"),
        (_attribute("forces_unit", "Hartree/bohr"), "forces_unit is 'Hartree/bohr'"),
        (_attribute("energy_unit", None), "no attribute 'energy_unit'"),
        (_attribute("forces_unit", None), "no attribute 'forces_unit'"),
        (_attribute("length_unit", None), "no attribute 'length_unit'"),
    ],
)
def test_damage_is_named(
    make_set: Callable[[], Path], damage: Damage, message: str
) -> None:
    path = make_set()
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(DataError, match=message) as raised:
        check(path)
    assert str(path) in str(raised.value)


def test_missing_labels_are_no_damage(make_set: Callable[[], Path]) -> None:
    path = make_set()
    with h5py.File(path, "a") as file:
        file["energy"][7] = np.nan
        file["forces"][0] = np.nan
    data = check(path)
    assert data[7].energy is None
    assert data[0].forces is None
    assert data[8].energy is not None


def test_units_of_absent_labels_are_not_asked_for(
    make_set: Callable[[], Path],
) -> None:
    path = make_set()
    with h5py.File(path, "a") as file:
        del file["energy"], file["forces"]
        del file.attrs["energy_unit"], file.attrs["forces_unit"]
    check(path)


def test_files_that_are_no_sets(make_set: Callable[[], Path]) -> None:
    path = make_set()
    content = path.read_bytes()
    with pytest.raises(DataError, match="no such file"):
        RaggedSet(path.with_name("missing.h5"))
    with pytest.raises(DataError, match="no such file"):
        RaggedSet(path.parent)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="truncated or damaged"):
        RaggedSet(path)
    path.write_text("3\n\nH 0 0 0\n")
    with pytest.raises(DataError, match=r"not an HDF5 file.*physml data import"):
        RaggedSet(path)


def test_damaged_bytes_are_named(make_set: Callable[[], Path]) -> None:
    path = make_set()
    with h5py.File(path) as file:
        chunk = file["positions"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    middle = chunk.byte_offset + chunk.size // 2
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"positions cannot be read .*damaged"):
        check(path)


def test_an_empty_set_is_refused(make_set: Callable[[], Path]) -> None:
    path = make_set()
    with h5py.File(path, "a") as file:
        for name in list(file):
            _replace(name, lambda v: v[:0])(file)
    with pytest.raises(DataError, match="set is empty"):
        check(path)


def test_a_column_that_is_not_there(make_set: Callable[[], Path]) -> None:
    with pytest.raises(DataError, match="no cell; it has atomic_numbers"):
        RaggedSet(make_set()).column("cell")
