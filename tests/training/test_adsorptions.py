"""Adsorption energies by difference, and what was held."""

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import DataError

SCRIPT = Path(__file__).parents[2] / "training" / "adsorption" / "adsorptions.py"
MODULE = runpy.run_path(str(SCRIPT))
adsorptions, held_in_slabs = MODULE["adsorptions"], MODULE["held_in_slabs"]

CELL = np.diag([8.0, 8.0, 20.0])
SLAB = np.array([[0.0, 0, 0], [4, 4, 0], [0, 4, 2], [4, 0, 2]])
CO = np.array([[0.0, 0, 4], [0, 0, 5.15]])


def frame(name: str, numbers: list[int], positions: np.ndarray, energy: float) -> Frame:
    return Frame(
        np.array(numbers, dtype=np.uint8), positions, energy,
        cell=CELL, pbc=np.ones(3, dtype=bool), name=name,
    )  # fmt: skip


def on_slab(name: str, moved: dict[int, float], energy: float) -> Frame:
    positions = SLAB.copy()
    for atom, shift in moved.items():
        positions[atom, 0] += shift
    numbers = [29] * 4 + [6, 8]
    return frame(name, numbers, np.vstack([positions, CO]), energy)


FRAMES = [
    on_slab("oxides/cu-co-a", {2: 0.1}, -25.5),
    # Atom 0 is at another image of the same place: not moved.
    on_slab("oxides/cu-co-b", {3: -0.05, 0: 8.0}, -24.75),
    frame("metal_surfaces/cu-0000", [29] * 4, SLAB, -10.0),
    frame("gas_oxides/co", [6, 8], CO, -14.5),
]


def stored(path: Path, frames: list[Frame]) -> RaggedSet:
    write(path, frames, Metadata("PBE", equilibrium=True))
    return RaggedSet(path)


def test_energies_are_differences(tmp_path: Path) -> None:
    found = adsorptions(stored(tmp_path / "a.h5", FRAMES))
    assert [one.energy for one in found] == [-1.0, -0.25]
    assert [one.site for one in found] == ["a", "b"]
    first = found[0]
    assert (first.index, first.slab, first.gas) == (0, 2, 3)
    assert (first.metal, first.adsorbate) == ("cu", "oxides/co")


def test_held_atoms_are_those_that_nothing_moves(tmp_path: Path) -> None:
    data = stored(tmp_path / "a.h5", FRAMES)
    held = held_in_slabs(data, adsorptions(data))
    assert list(held) == [2]
    assert held[2].tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (FRAMES[:1] + FRAMES[3:], "has no clean slab of cu"),
        (FRAMES[:3], "has no molecule co"),
        (FRAMES[2:], "no frame is of a molecule on a slab"),
        ([replace(FRAMES[0], name="oxides/cu"), *FRAMES[2:]], "is not of the form"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, frames: list[Frame], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        adsorptions(stored(tmp_path / "a.h5", frames))


def test_slabs_in_another_order_are_refused(tmp_path: Path) -> None:
    turned = replace(FRAMES[0], numbers=FRAMES[0].numbers[::-1])
    data = stored(tmp_path / "a.h5", [turned, *FRAMES[2:]])
    with pytest.raises(DataError, match="does not begin with the atoms of"):
        held_in_slabs(data, adsorptions(data))
