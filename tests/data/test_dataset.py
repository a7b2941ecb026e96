"""Reading and writing sets."""

import multiprocessing as mp
import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

from ase_physml.data import dataset
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import RaggedWriter, write
from ase_physml.errors import DataError

MakeSet = Callable[[], Path]


def assert_same(found: Frame, expected: Frame) -> None:
    np.testing.assert_array_equal(found.numbers, expected.numbers)
    np.testing.assert_array_equal(found.positions, expected.positions)
    np.testing.assert_array_equal(found.forces, expected.forces)
    np.testing.assert_array_equal(found.cell, expected.cell)
    np.testing.assert_array_equal(found.pbc, expected.pbc)
    assert found.energy == expected.energy
    assert (found.name or None) == (expected.name or None)
    assert (found.smiles or None) == (expected.smiles or None)


def test_what_is_written_is_read(make_set: MakeSet, frames: list[Frame]) -> None:
    data = RaggedSet(make_set())
    assert len(data) == len(frames)
    for found, expected in zip(data, frames, strict=True):
        assert_same(found, expected)
    assert data.metadata == Metadata("PBE", equilibrium=False, source="random")
    assert not data.has("cell")


def test_file_has_the_published_layout(make_set: MakeSet, frames: list[Frame]) -> None:
    with h5py.File(make_set()) as file:
        kinds = {name: (d.dtype.str, d.shape[1:]) for name, d in file.items()}
        assert dict(file.attrs) == {
            "length_unit": "angstrom",
            "energy_unit": "eV",
            "forces_unit": "eV/angstrom",
            "level_of_theory": "PBE",
            "energy_kind": "total energy",
            "equilibrium": False,
            "source": "random",
        }
        assert file["name"][3] == b"frame 3"
    assert kinds == {
        "n_atoms": ("<i4", ()),
        "atomic_numbers": ("|u1", ()),
        "positions": ("<f8", (3,)),
        "energy": ("<f8", ()),
        "forces": ("<f8", (3,)),
        "name": ("|S8", ()),
        "smiles": ("|S4", ()),
    }


def test_frames_can_be_asked_for_in_any_order(
    make_set: MakeSet, frames: list[Frame]
) -> None:
    data = RaggedSet(make_set())
    wanted = np.array([7, 3, 4, 5, 29, 3, 0])
    for found, i in zip(data.read(wanted), wanted, strict=True):
        assert_same(found, frames[i])
    assert_same(data[-1], frames[-1])
    assert [f.name for f in data[2:9:3]] == ["frame 2", "frame 5", "frame 8"]
    with pytest.raises(IndexError, match="frame 30 of 30"):
        data[30]


@pytest.mark.parametrize(("gap", "run"), [(1, 3), (4, 5), (32, 4096)])
def test_frames_near_each_other_are_read_at_once(
    make_set: MakeSet,
    frames: list[Frame],
    monkeypatch: pytest.MonkeyPatch,
    gap: int,
    run: int,
) -> None:
    monkeypatch.setattr(dataset, "_GAP", gap)
    monkeypatch.setattr(dataset, "_RUN", run)
    data = RaggedSet(make_set())
    for wanted in ([], [29], [0, 2, 3, 9, 10, 11, 12, 13, 27], [*range(29, -1, -1)]):
        found = data.read(np.array(wanted))
        assert [one.name for one in found] == [frames[k].name for k in wanted]
    runs = dataset._runs(np.array([0, 2, 3, 9, 10, 11, 12, 13, 27]))
    assert all(np.ptp(one) < run and np.diff(one).max(initial=1) <= gap for one in runs)
    assert (len(runs) == 1) == (gap == 32)


def test_chunks_cover_everything_and_stay_small(make_set: MakeSet) -> None:
    data = RaggedSet(make_set())
    slabs = list(data.chunks(atoms=10))
    assert slabs[0][0] == 0
    assert slabs[-1][1] == len(data)
    assert all(a[1] == b[0] for a, b in pairwise(slabs))
    assert max(int(data.n_atoms[a:b].sum()) for a, b in slabs) <= 10
    assert list(data.chunks(atoms=1)) == [(i, i + 1) for i in range(len(data))]


def test_single_precision_and_no_compression(
    tmp_path: Path, frames: list[Frame]
) -> None:
    path = tmp_path / "small.h5"
    with RaggedWriter(path, Metadata(), "f4", compress=False) as writer:
        writer.extend(frames)
    with h5py.File(path) as file:
        assert file["positions"].dtype == np.float32
        assert file["energy"].dtype == np.float64
        assert file["positions"].compression is None
    np.testing.assert_allclose(
        RaggedSet(path)[5].positions, frames[5].positions, atol=1e-6
    )


def test_columns_may_appear_late(
    tmp_path: Path, frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ase_physml.data.writer._BUFFERED_ATOMS", 10)
    cell, pbc = np.eye(3) * 9, np.array([True, True, False])
    bare = replace(frames[0], energy=None, forces=None, name=None, smiles=None)
    mixed = [bare] * 9 + frames + [replace(bare, cell=cell, pbc=pbc), bare]
    path = tmp_path / "mixed.h5"
    assert write(path, mixed, Metadata()) == len(mixed)
    for found, expected in zip(RaggedSet(path), mixed, strict=True):
        assert_same(found, expected)


def test_names_of_any_kind(tmp_path: Path, frames: list[Frame]) -> None:
    names = ["é" * 300, "two\nlines", "", "x"]
    path = tmp_path / "names.h5"
    named = [replace(frames[0], name=name) for name in names]
    write(path, named, Metadata())
    expected = ["é" * 300, "two lines", None, "x"]
    assert [f.name for f in RaggedSet(path)] == expected


def test_extra_metadata_survives(tmp_path: Path, frames: list[Frame]) -> None:
    path = tmp_path / "extra.h5"
    metadata = Metadata(extra={"sigma": [0.1, 0.2], "note": "rattled"})
    write(path, frames, metadata)
    assert RaggedSet(path).metadata == metadata
    with pytest.raises(DataError, match="60 kB"):
        write(tmp_path / "large.h5", frames, Metadata(extra={"x": "y" * 70_000}))


def test_foreign_attributes_are_kept_as_text(make_set: MakeSet) -> None:
    path = make_set()
    with h5py.File(path, "a") as file:
        file.attrs["note"] = np.bytes_("from a cluster")
        file.attrs["extra"] = "not json"
    extra = RaggedSet(path).metadata.extra
    assert extra == {"note": "from a cluster", "extra": "not json"}


def test_pickle_is_small_and_works(make_set: MakeSet, frames: list[Frame]) -> None:
    data = RaggedSet(make_set())
    assert_same(data[4], frames[4])
    packed = pickle.dumps(data)
    assert len(packed) < 2000
    copy = pickle.loads(packed)
    assert_same(copy[4], frames[4])
    np.testing.assert_array_equal(copy.n_atoms, data.n_atoms)


def _sums(data: RaggedSet, seed: int) -> list[float]:
    order = np.random.default_rng(seed).permutation(len(data))
    return [float(data[i].positions.sum()) for i in order]


def _child(data: RaggedSet, seed: int, pipe: "mp.connection.Connection") -> None:
    pipe.send(_sums(data, seed))


def test_forked_readers_do_not_share_a_handle(make_set: MakeSet) -> None:
    data = RaggedSet(make_set())
    _ = data[0]  # opened in this process, before the others exist
    handle = data._file
    context = mp.get_context("fork")
    pipes = []
    children = []
    for seed in range(4):
        here, there = context.Pipe()
        child = context.Process(target=_child, args=(data, seed, there))
        child.start()
        pipes.append(here)
        children.append(child)
    expected = [_sums(data, seed) for seed in range(4)]
    assert [pipe.recv() for pipe in pipes] == expected
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert data._file is handle


def test_ten_million_atoms_are_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "large.h5"
    frames, atoms = 500_000, 20
    with h5py.File(path, "w") as file:
        file["n_atoms"] = np.full(frames, atoms, np.int32)
        for name, shape, kind, value in (
            ("atomic_numbers", (), "u1", 6),
            ("positions", (3,), "f8", 0.5),
        ):
            # Chunks that were never written take no space and read as the fill value.
            file.create_dataset(
                name,
                (frames * atoms, *shape),
                kind,
                chunks=(8192, *shape),
                fillvalue=value,
            )
        file.attrs["length_unit"] = "angstrom"
    tracemalloc.start()
    data = RaggedSet(path)
    picked = data.read(np.array([499_999, 17, 250_000]))
    for start, stop in data.chunks():
        data.column("positions", int(data.offsets[start]), int(data.offsets[stop]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [f.positions.sum() for f in picked] == [30.0] * 3
    # Everything would be 250 MB; counts and offsets are 6 MB, a slab 2.4 MB.
    assert peak < 20e6


def test_writer_keeps_a_bounded_buffer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ase_physml.data.writer._BUFFERED_ATOMS", 2000)
    numbers = np.full(100, 6, np.uint8)

    def many() -> Iterator[Frame]:
        random = np.random.default_rng(0)
        for _ in range(3000):
            yield Frame(numbers, random.normal(size=(100, 3)), name="n" * 100)

    tracemalloc.start()
    assert write(tmp_path / "many.h5", many(), Metadata()) == 3000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All positions would be 7.2 MB.
    assert peak < 3e6


def test_a_failed_write_leaves_the_old_file(
    make_set: MakeSet, frames: list[Frame]
) -> None:
    path = make_set()
    before = path.read_bytes()
    broken = replace(frames[1], positions=frames[1].positions * np.nan)
    with pytest.raises(DataError, match=r"frame 1 \(frame 1\): a position is NaN"):
        write(path, [frames[0], broken], Metadata())
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, frames: list[Frame]
) -> None:
    def interrupted() -> Iterator[Frame]:
        yield from frames
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "new.h5", interrupted(), Metadata())
    assert list(tmp_path.iterdir()) == []


def test_a_write_is_refused_with_the_reason(
    tmp_path: Path, frames: list[Frame]
) -> None:
    with pytest.raises(DataError, match="no frames to write"):
        write(tmp_path / "empty.h5", [], Metadata())
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write here"):
        write(tmp_path / "file" / "set.h5", frames, Metadata())
    with RaggedWriter(tmp_path / "set.h5", Metadata()) as first:
        first.extend(frames)
        with pytest.raises(DataError, match="another process"):
            write(tmp_path / "set.h5", frames, Metadata())
    assert len(RaggedSet(tmp_path / "set.h5")) == len(frames)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"numbers": np.array([], np.uint8)}, "no atoms"),
        ({"numbers": np.array([0, 1])}, "atomic number outside 1..118"),
        ({"numbers": np.array([119, 1])}, "atomic number outside 1..118"),
        ({"positions": np.zeros((3, 3))}, r"positions of shape \(3, 3\) for 2 atoms"),
        ({"energy": np.inf}, "energy is NaN or infinite"),
        ({"forces": np.zeros((1, 3))}, r"forces of shape \(1, 3\) for 2 atoms"),
        ({"forces": np.full((2, 3), np.nan)}, "force is NaN or infinite"),
    ],
)
def test_frames_that_cannot_be_stored(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    good = Frame(np.array([1, 1]), np.eye(3)[:2])
    with pytest.raises(DataError, match=f"frame 1: .*{problem}"):
        write(tmp_path / "set.h5", [good, replace(good, **change)], Metadata())
