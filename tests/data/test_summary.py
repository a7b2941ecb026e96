"""What `physml data info` counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from scipy.spatial.transform import Rotation

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.summary import Summary, summarise
from ase_physml.data.writer import write


def summary_of(path: Path, frames: list[Frame]) -> Summary:
    write(path, frames, Metadata())
    return summarise(RaggedSet(path))


def test_counts_and_ranges(tmp_path: Path, frames: list[Frame]) -> None:
    frames[3] = replace(frames[3], energy=None)
    frames[4] = replace(frames[4], forces=None)
    found = summary_of(tmp_path / "set.h5", frames)
    sizes = [len(f.numbers) for f in frames]
    assert found.frames == 30
    assert found.atoms == (min(sizes), np.mean(sizes), max(sizes))
    numbers = np.concatenate([f.numbers for f in frames])
    assert found.elements == {z: int((numbers == z).sum()) for z in (1, 6, 7, 8)}
    assert (found.energies, found.forces, found.periodic) == (29, 29, 0)
    per_atom = [f.energy / len(f.numbers) for f in frames if f.energy is not None]
    assert found.energy_per_atom == pytest.approx((min(per_atom), max(per_atom)))
    forces = np.concatenate([f.forces for f in frames if f.forces is not None])
    assert found.largest_force == pytest.approx(np.linalg.norm(forces, axis=1).max())


def test_small_chunks_give_the_same(
    tmp_path: Path, frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = summary_of(tmp_path / "set.h5", frames)
    monkeypatch.setattr(RaggedSet.chunks, "__defaults__", (7,))
    assert summarise(RaggedSet(tmp_path / "set.h5")) == whole


def test_without_labels(tmp_path: Path) -> None:
    atom = Frame(np.array([1]), np.zeros((1, 3)))
    found = summary_of(tmp_path / "set.h5", [atom])
    assert (found.energies, found.energy_per_atom) == (0, None)
    assert (found.forces, found.largest_force) == (0, None)
    assert (found.duplicates, found.elements) == (0, {1: 1})


def test_duplicates_whatever_the_orientation_and_order(tmp_path: Path) -> None:
    ethanol = molecule("CH3CH2OH")
    random = np.random.default_rng(0)
    first = Frame(ethanol.numbers, ethanol.positions)
    order = random.permutation(len(ethanol))
    turned = Rotation.random(rng=random).apply(ethanol.positions) + 5.0
    moved = ethanol.positions.copy()
    moved[2, 0] += 0.05
    frames = [
        first,
        first,
        Frame(ethanol.numbers[order], turned[order]),
        Frame(ethanol.numbers, moved),
        Frame(np.where(ethanol.numbers == 8, 7, ethanol.numbers), ethanol.positions),
        Frame(ethanol.numbers, ethanol.positions[::-1].copy()),
    ]
    assert summary_of(tmp_path / "set.h5", frames).duplicates == 2


def test_single_atoms_differ_by_element(tmp_path: Path) -> None:
    atoms = [Frame(np.array([z]), np.zeros((1, 3))) for z in (1, 6, 6, 8)]
    assert summary_of(tmp_path / "set.h5", atoms).duplicates == 1


def test_cells_count(tmp_path: Path) -> None:
    pbc = np.array([True] * 3)
    copper = Frame(np.array([29]), np.zeros((1, 3)), cell=np.eye(3) * 3, pbc=pbc)
    wider = replace(copper, cell=np.eye(3) * 4)
    found = summary_of(tmp_path / "set.h5", [copper, wider, copper])
    assert (found.duplicates, found.periodic) == (1, 3)


def test_large_frames_need_no_distances(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    positions = random.uniform(0, 30, (400, 3))
    numbers = random.choice([1, 6, 8], 400)
    frames = [
        Frame(numbers, positions),
        Frame(numbers, positions),
        Frame(numbers, positions[::-1].copy()),
        Frame(numbers[::-1].copy(), positions),
    ]
    assert summary_of(tmp_path / "set.h5", frames).duplicates == 1
