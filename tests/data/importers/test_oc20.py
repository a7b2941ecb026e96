"""OC20's releases: small files in exactly their layouts, written here."""

import lzma
import pickle
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import ase.io
import lmdb
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import add_adsorbate, fcc111
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.db.row import AtomsRow
from ase.io.jsonio import encode

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.importers.importer import Options
from ase_physml.data.importers.opening import convert, open_source
from ase_physml.errors import DataError

# Metadata as published: system, frame, reference energy in eV.
LINES = "random1,frame0,-181.5\nrandom1,frame7,-181.5\nrandom2,frame3,-99.25\n"


def slab(seed: int) -> Atoms:
    """Copper with CO, the lower layer held, tags and labels."""
    atoms = fcc111("Cu", (2, 2, 2), vacuum=6.0, periodic=True)
    add_adsorbate(atoms, Atoms("CO", [[0, 0, 0], [0, 0, 1.15]]), 1.9, "ontop")
    layer = atoms.get_tags()
    atoms.set_tags(np.where(layer == 2, 0, np.where(layer == 1, 1, 2)))
    atoms.set_constraint(FixAtoms(mask=layer == 2))
    atoms.info.clear()
    atoms.rattle(0.05, seed=seed)
    forces = np.random.default_rng(seed).normal(size=(len(atoms), 3))
    energy = -200.0 - seed
    atoms.calc = SinglePointCalculator(
        atoms, energy=energy, free_energy=energy, forces=forces
    )
    return atoms


@pytest.fixture
def s2ef(tmp_path: Path) -> Path:
    """``0.extxyz.xz`` and ``0.txt.xz``."""
    plain, path = tmp_path / "0.extxyz", tmp_path / "0.extxyz.xz"
    columns = ["symbols", "positions", "move_mask", "tags", "forces"]
    ase.io.write(plain, [slab(k) for k in range(3)], columns=columns)
    header = plain.read_text().splitlines()[1]
    assert "Properties=species:S:1:pos:R:3:move_mask:L:1:tags:I:1:forces:R:3" in header
    path.write_bytes(lzma.compress(plain.read_bytes()))
    (tmp_path / "0.txt.xz").write_bytes(lzma.compress(LINES.encode()))
    return path


def test_s2ef_gives_energies_of_adsorption(s2ef: Path) -> None:
    source = open_source(s2ef)
    assert source.importer.name == "oc20-s2ef"
    assert source.count() == 3
    frames = list(source)
    assert [f.name for f in frames] == ["random1/0", "random1/7", "random2/3"]
    energies = [f.energy for f in frames]
    assert energies == pytest.approx([-18.5, -19.5, -102.75])
    assert source.metadata.energy_kind == "adsorption energy"
    for frame, seed in zip(frames, range(3), strict=True):
        atoms = slab(seed)
        np.testing.assert_allclose(frame.positions, atoms.positions, atol=1e-7)
        raw = atoms.get_forces(apply_constraint=False)
        # Of held atoms too.
        np.testing.assert_allclose(frame.forces, raw, atol=1e-7)
        assert frame.fixed is not None
        assert frame.fixed.tolist() == [True] * 4 + [False] * 6
        np.testing.assert_allclose(frame.cell, atoms.cell.array, atol=1e-7)


def test_s2ef_total_energies_survive_a_set(s2ef: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    assert convert(open_source(s2ef, options=Options(energy="total")), out) == 3
    data = RaggedSet(out)
    assert data.column("energy").tolist() == pytest.approx([-200.0, -201.0, -202.0])
    assert data.metadata.energy_kind == "total energy"
    fixed = data[0].fixed
    assert fixed is not None
    assert fixed.sum() == 4


def test_s2ef_says_what_is_wrong_with_its_metadata(s2ef: Path, tmp_path: Path) -> None:
    beside = tmp_path / "0.txt.xz"
    beside.write_bytes(lzma.compress(LINES.splitlines()[0].encode()))
    with pytest.raises(DataError, match=r"3 frames, but 0\.txt\.xz has 1"):
        list(open_source(s2ef))
    beside.write_bytes(lzma.compress(b"random1 frame0\n"))
    with pytest.raises(DataError, match="is not 'system,frame,reference energy'"):
        list(open_source(s2ef))
    beside.unlink()
    with pytest.raises(DataError, match=r"needs 0\.txt\.xz beside it"):
        list(open_source(s2ef, "oc20-s2ef"))
    with pytest.raises(DataError, match="is not one of adsorption, total"):
        open_source(s2ef, "oc20-s2ef", Options(energy="U0"))


class Data:
    """Of torch_geometric 1: its fields are its attributes."""

    def __init__(self, **content: Any) -> None:
        self.__dict__.update(content)


class GlobalStorage(Data):
    """Of torch_geometric 2: holds the fields of the `Data` it belongs to."""


Pickled = Callable[[dict[str, Any], int], bytes]


@pytest.fixture
def pickled(monkeypatch: pytest.MonkeyPatch) -> Pickled:
    """Pickles that name torch_geometric, which is gone when they are read."""

    def dump(content: dict[str, Any], version: int) -> bytes:
        names = ("torch_geometric.data.data", "torch_geometric.data.storage")
        modules = [ModuleType(name) for name in names]
        with monkeypatch.context() as patch:
            for name in ("torch_geometric", "torch_geometric.data"):
                patch.setitem(sys.modules, name, ModuleType(name))
            for module, kind in zip(modules, (Data, GlobalStorage), strict=True):
                patch.setitem(sys.modules, module.__name__, module)
                patch.setattr(kind, "__module__", module.__name__)
                patch.setattr(module, kind.__name__, kind, raising=False)
            if version == 1:
                return pickle.dumps(Data(**content), protocol=-1)
            whole = Data()
            whole._store = GlobalStorage(_mapping=content, _parent=whole)
            return pickle.dumps(whole, protocol=-1)

    return dump


def relaxation(seed: int) -> dict[str, Any]:
    """An entry of IS2RE."""
    atoms = slab(seed)
    positions = torch.tensor(atoms.positions, dtype=torch.float32)
    held = (torch.arange(len(atoms)) < 4).float()
    return {
        "pos": positions,
        "cell": torch.tensor(atoms.cell.array, dtype=torch.float32)[None],
        "atomic_numbers": torch.tensor(atoms.numbers, dtype=torch.float32),
        "natoms": len(atoms),
        "tags": torch.tensor(atoms.get_tags(), dtype=torch.float32),
        "fixed": held,
        "y_init": 1.5 + seed,
        "y_relaxed": np.float64(-0.5 - seed),
        "pos_relaxed": positions + 0.1 * (1.0 - held)[:, None],
        "sid": 2472718 + seed,
    }


def write_lmdb(path: Path, values: dict[str, bytes]) -> Path:
    with (
        lmdb.open(str(path), subdir=False, map_size=2**24) as file,
        file.begin(write=True) as view,
    ):
        for key, value in values.items():
            view.put(key.encode(), value)
    return path


@pytest.mark.parametrize("version", [1, 2])
def test_is2re_gives_relaxed_structures_and_energies(
    tmp_path: Path, pickled: Pickled, version: int
) -> None:
    # Twelve: in the order of the numbers, not of their digits.
    values = {str(k): pickled(relaxation(k), version) for k in range(12)}
    source = open_source(write_lmdb(tmp_path / "data.lmdb", values))
    assert source.importer.name == "oc20-lmdb"
    assert source.count() == 12
    assert source.metadata.equilibrium is True
    frames = list(source)
    assert [f.energy for f in frames] == [-0.5 - k for k in range(12)]
    entry, frame = relaxation(11), frames[11]
    np.testing.assert_array_equal(frame.positions, entry["pos_relaxed"])
    np.testing.assert_array_equal(frame.numbers, entry["atomic_numbers"])
    np.testing.assert_array_equal(frame.cell, entry["cell"][0])
    np.testing.assert_array_equal(frame.fixed, entry["fixed"] == 1)
    assert frame.name == "2472729"


def test_is2re_initial_structures_are_no_minima(
    tmp_path: Path, pickled: Pickled
) -> None:
    path = write_lmdb(tmp_path / "data.lmdb", {"0": pickled(relaxation(0), 2)})
    source = open_source(path, options=Options(part="initial"))
    assert source.metadata.equilibrium is False
    (frame,) = source
    assert frame.energy == 1.5
    np.testing.assert_array_equal(frame.positions, relaxation(0)["pos"])


def test_s2ef_lmdb(tmp_path: Path, pickled: Pickled) -> None:
    entry = relaxation(0)
    for name in ("y_init", "y_relaxed", "pos_relaxed"):
        del entry[name]
    force = torch.randn(len(entry["pos"]), 3)
    entry |= {"y": -3.25, "force": force, "fid": torch.tensor([17])}
    values = {"0": pickled(entry, 2), "length": pickle.dumps(1, protocol=-1)}
    (frame,) = open_source(write_lmdb(tmp_path / "data.0000.lmdb", values))
    assert frame.energy == -3.25
    assert frame.name == "2472718/17"
    np.testing.assert_array_equal(frame.forces, force)


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_pickle_is_not_run(tmp_path: Path, pickled: Pickled) -> None:
    entry = {**relaxation(0), "more": Evil(tmp_path / "was_here")}
    path = write_lmdb(tmp_path / "data.lmdb", {"0": pickled(entry, 2)})
    with pytest.raises(DataError, match=r"names .*; --trust reads it"):
        open_source(path)
    assert not (tmp_path / "was_here").exists()
    (frame,) = open_source(path, options=Options(trust=True))
    assert frame.energy == -0.5
    assert (tmp_path / "was_here").exists()


def test_ase_database_in_lmdb(tmp_path: Path) -> None:
    values = {"nextid": zlib.compress(b"3"), "deleted_ids": zlib.compress(b"[]")}
    for key in (1, 2):
        atoms = slab(key)
        row = AtomsRow(atoms)
        content = {k: row[k] for k in row if k != "id"} | {"ctime": 0.0, "mtime": 0.0}
        content["constraints"] = [held.todict() for held in atoms.constraints]
        values[str(key)] = zlib.compress(encode(content).encode())
    source = open_source(write_lmdb(tmp_path / "data.aselmdb", values))
    frames = list(source)
    assert [f.energy for f in frames] == [-201.0, -202.0]
    atoms = slab(2)
    np.testing.assert_allclose(frames[1].positions, atoms.positions)
    raw = atoms.get_forces(apply_constraint=False)
    np.testing.assert_allclose(frames[1].forces, raw)
    assert frames[1].fixed is not None
    assert frames[1].fixed.sum() == 4


def test_damaged_files_are_named(tmp_path: Path, pickled: Pickled) -> None:
    value = pickled(relaxation(0), 2)
    path = write_lmdb(tmp_path / "data.lmdb", {"0": value[: len(value) // 2]})
    with pytest.raises(DataError, match="a damaged pickle"):
        open_source(path)
    path = write_lmdb(tmp_path / "other.lmdb", {"0": pickled({"pos": 1}, 2)})
    with pytest.raises(DataError, match="has no 'atomic_numbers', only pos"):
        list(open_source(path))
    path = write_lmdb(tmp_path / "text.lmdb", {"0": b"some text"})
    with pytest.raises(DataError, match="neither a pickle nor a row"):
        list(open_source(path))
