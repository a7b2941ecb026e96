"""Stores of molecules from sets of bare geometries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import overload

import numpy as np

from ase_physml.chem.build import Built, build
from ase_physml.chem.featurise import Order
from ase_physml.chem.perceive import perceive
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Array, Frame


def perceive_sets(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    order: Order = "smiles",
    processes: int = 1,
    on_items: Callable[[int], None] | None = None,
) -> Built:
    """Perceive the bonds of all frames of some sets and save the store.

    Args:
        paths: Sets in the project's layout, one after the other.
        out: File of the store. It has the conformation of each molecule and columns
            ``file`` (which of the paths), ``frame`` (which of its frames) and
            ``energy`` (eV, NaN where the set has none).
        order: Of atoms, as of `ase_physml.chem.featurise.featurise`.
        processes: As of `ase_physml.chem.build.build`, as is ``on_items``.
        on_items: Called with the number of frames just finished.

    Raises:
        DataError: As of `build`, or a set cannot be read.
    """
    sets = [RaggedSet(path) for path in paths]
    lengths = [len(frames) for frames in sets]
    facts = {"sources": ", ".join(s.path.name for s in sets), "order": order}
    columns = {
        "file": np.repeat(np.arange(len(sets)), lengths),
        "frame": np.concatenate([np.arange(n) for n in lengths]),
        "energy": np.concatenate([_energies(frames) for frames in sets]),
    }
    return build(
        FrameChain(sets),
        partial(perceive, order=order),
        out,
        {**facts, "bonds": "perceived"},
        columns=columns,
        processes=processes,
        on_items=on_items,
    )


class FrameChain(Sequence[Frame]):
    """Frames of several sets as one sequence."""

    def __init__(self, sets: Sequence[RaggedSet]) -> None:
        self.sets = sets
        self.ends = np.cumsum([len(frames) for frames in sets])

    def __len__(self) -> int:
        return int(self.ends[-1])

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, int):
            return self[index : index + 1][0]
        start, stop, _ = index.indices(len(self))
        found: list[Frame] = []
        for frames, end in zip(self.sets, self.ends, strict=True):
            first = int(end) - len(frames)
            found += frames[max(0, start - first) : max(0, stop - first)]
        return found


def _energies(frames: RaggedSet) -> Array:
    if frames.has("energy"):
        return frames.column("energy")
    return np.full(len(frames), np.nan)
