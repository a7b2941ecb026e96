"""Transition1x, on a small file in exactly the published layout."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from ase_physml.data.dataset import check
from ase_physml.data.importers.importer import Options
from ase_physml.data.importers.opening import convert, open_source
from ase_physml.errors import DataError

LEVEL = "wB97x_6-31G(d)"


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
