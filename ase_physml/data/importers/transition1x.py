"""``Transition1x.h5`` (Schreiner et al. 2022): NEB frames of 10,073 reactions.

Groups ``data`` (or ``train``, ``val``, ``test``) / formula / reaction with
``atomic_numbers``, ``positions`` (F, N, 3) Å, ``wB97x_6-31G(d).energy`` eV and
``wB97x_6-31G(d).forces`` eV/Å, and the same in the subgroups ``reactant``,
``transition_state`` and ``product``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from ase_physml.data.frame import Frame
from ase_physml.data.ragged import Metadata
from ase_physml.errors import DataError

if TYPE_CHECKING:
    from ase_physml.data.importers import Options, Source

_LEVEL = "wB97x_6-31G(d)"
_ENDS = ("reactant", "transition_state", "product")
# Frames read at a time: the file has reactions of thousands.
_CHUNK = 512


def open_file(path: Path, options: "Options") -> "Source":
    """Stream every frame; names are formula/reaction/position in the group."""
    from ase_physml.data.importers import Source

    metadata = Metadata(
        level_of_theory="wB97X/6-31G(d)",
        equilibrium=False,
        source="Transition1x (Schreiner et al. 2022, doi 10.1038/s41597-022-01870-w)",
    )
    return Source(_frames(path), metadata)


def _frames(path: Path) -> Iterator[Frame]:
    with h5py.File(path, "r") as file:
        # "data" holds everything; the three parts are the same reactions again.
        parts = ["data"] if "data" in file else ["train", "val", "test"]
        for part in parts:
            for formula, reactions in file.get(part, {}).items():
                for reaction, group in reactions.items():
                    label = f"{formula}/{reaction}"
                    yield from _group(path, group, label, group["atomic_numbers"][:])


def _group(
    path: Path, group: h5py.Group, label: str, numbers: np.ndarray
) -> Iterator[Frame]:
    try:
        positions = group["positions"]
        energies, forces = group[f"{_LEVEL}.energy"], group[f"{_LEVEL}.forces"]
    except KeyError as error:
        raise DataError(f"{path}: {label} is not in Transition1x's layout") from error
    for start in range(0, len(positions), _CHUNK):
        rows = slice(start, start + _CHUNK)
        block = zip(positions[rows], energies[rows], forces[rows], strict=True)
        for i, (position, energy, force) in enumerate(block, start=start):
            yield Frame(
                numbers=numbers.astype(np.uint8),
                positions=position.astype(np.float64),
                energy=float(np.squeeze(energy)),
                forces=force.astype(np.float64),
                name=f"{label}/{i}",
            )
    for end in _ENDS:
        if end in group:
            yield from _group(path, group[end], f"{label}/{end}", numbers)
