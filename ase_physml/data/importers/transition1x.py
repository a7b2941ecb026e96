"""``Transition1x.h5`` (Schreiner et al. 2022): NEB frames of 10,073 reactions.

Groups ``data`` (``train``, ``val``, ``test`` link into it) / formula / reaction with
``atomic_numbers``, ``positions`` (F, N, 3) Å, ``wB97x_6-31G(d).energy`` eV and
``wB97x_6-31G(d).forces`` eV/Å, and the same in the subgroups ``reactant``,
``transition_state`` and ``product``, which repeat frames of the path.
"""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from ase_physml.data.frame import Array, Frame
from ase_physml.data.importers.hdf5 import (
    Conformers,
    HDF5Importer,
    dataset,
    first_child,
)
from ase_physml.data.importers.importer import Notes, Options
from ase_physml.data.layout import open_file
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError

_LEVEL = "wB97x_6-31G(d)"
_PARTS = ("data", "train", "val", "test")
_STATIONARY = ("reactant", "transition_state", "product")


class Transition1x(HDF5Importer):
    """Frames of the paths, or their stationary points."""

    name = "transition1x"
    options = frozenset({"part", "stationary", "per_reaction"})

    def has_layout(self, file: h5py.File) -> bool:
        """True if its first reaction is of this layout."""
        part = next((file[p] for p in _PARTS if p in file), None)
        return f"{_LEVEL}.energy" in first_child(first_child(part))

    def metadata(self, path: Path, options: Options) -> Metadata:
        """Level of theory as published."""
        return Metadata(
            level_of_theory="wB97X/6-31G(d)",
            energy_kind="total electronic energy",
            equilibrium=False,
            source="Transition1x (Schreiner et al. 2022, "
            "doi 10.1038/s41597-022-01870-w)",
            extra={"part": options.part or "data", **_sampled(options)},
        )

    def count(self, path: Path, options: Options) -> int | None:
        """Sum over the shapes of all groups."""
        with open_file(path) as file:
            return sum(len(c) for c in _groups(path, file, options))

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream frames named formula/reaction/position in the group."""
        with open_file(path) as file:
            for conformers in _groups(path, file, options):
                yield from conformers.frames(1.0)


def _groups(path: Path, file: h5py.File, options: Options) -> Iterator[Conformers]:
    part = options.part or "data"
    if part not in _PARTS or part not in file:
        known = ", ".join(p for p in _PARTS if p in file)
        raise DataError(f"{path}: has no part {part!r}; choose --part {known}")
    if options.stationary and options.per_reaction:
        raise DataError(
            f"{path}: stationary points are three of a reaction: give --stationary or "
            "--per-reaction"
        )
    for formula, reactions in file[part].items():
        for reaction, group in reactions.items():
            numbers = dataset(path, group, "atomic_numbers")[:].astype(np.uint8)
            name = f"{formula}/{reaction}"
            if not options.stationary:
                found = _conformers(path, group, numbers, name)
                yield replace(found, chosen=_drawn(found, options.per_reaction))
                continue
            for point in _STATIONARY:
                if point in group:
                    yield _conformers(path, group[point], numbers, f"{name}/{point}")


def _sampled(options: Options) -> dict[str, int]:
    return {"per_reaction": options.per_reaction} if options.per_reaction else {}


def _drawn(path: Conformers, count: int | None) -> Array | None:
    """Places of some frames of a path, ascending; the same at every import.

    At random: frames lie image by image of one band after the other, and every tenth
    of them may be the same image.
    """
    if count is None or count >= len(path):
        return None
    random = np.random.default_rng(zlib.crc32(path.name.encode()))
    drawn: Array = np.sort(random.choice(len(path), count, replace=False))
    return drawn


def _conformers(path: Path, group: h5py.Group, numbers: Array, name: str) -> Conformers:
    return Conformers(
        numbers,
        dataset(path, group, "positions"),
        dataset(path, group, f"{_LEVEL}.energy"),
        dataset(path, group, f"{_LEVEL}.forces"),
        name,
    )
