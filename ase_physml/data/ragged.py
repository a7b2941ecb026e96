"""The project's own HDF5 layout: structures of any size, back to back.

``n_atoms`` (M,), ``atomic_numbers`` (sum N,), ``positions`` (sum N, 3) Å and, where a
set has them, ``energy`` (M,) eV, ``forces`` (sum N, 3) eV/Å, ``cell`` (M, 3, 3) Å,
``pbc`` (M, 3), ``name`` (M,), ``smiles`` (M,). Frame i is rows ``n_atoms[:i].sum()``
onward. Units, level of theory and origin are attributes of the file.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np

from ase_physml.data.frame import Array, Frame
from ase_physml.errors import DataError

PER_ATOM = ("atomic_numbers", "positions", "forces")
PER_FRAME = ("energy", "cell", "pbc", "name", "smiles")
UNITS = {
    "length_unit": "angstrom",
    "energy_unit": "eV",
    "forces_unit": "eV/angstrom",
}


@dataclass(frozen=True)
class Metadata:
    """Where a set comes from, and what its numbers mean.

    Attributes:
        level_of_theory: Method and basis of the labels.
        energy_kind: For example "total electronic energy".
        equilibrium: All frames are minima of their surface; None if nobody said.
        source: Citation or origin.
        extra: Any further attributes.
    """

    level_of_theory: str = ""
    energy_kind: str = "total energy"
    equilibrium: bool | None = None
    source: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def to_attributes(self) -> dict[str, Any]:
        """As attributes of an HDF5 file, units included."""
        attributes: dict[str, Any] = {
            **UNITS,
            "level_of_theory": self.level_of_theory,
            "energy_kind": self.energy_kind,
            "source": self.source,
        }
        if self.equilibrium is not None:
            attributes["equilibrium"] = self.equilibrium
        if self.extra:
            attributes["extra"] = json.dumps(self.extra)
        return attributes

    @classmethod
    def from_attributes(cls, attributes: dict[str, Any]) -> "Metadata":
        """From the attributes of an HDF5 file."""
        known = {*UNITS, "level_of_theory", "energy_kind", "source", "equilibrium"}
        extra = {k: str(v) for k, v in attributes.items() if k not in {*known, "extra"}}
        if "extra" in attributes:
            extra |= json.loads(str(attributes["extra"]))
        flag = attributes.get("equilibrium")
        return cls(
            level_of_theory=str(attributes.get("level_of_theory", "")),
            energy_kind=str(attributes.get("energy_kind", "total energy")),
            equilibrium=None if flag is None else bool(flag),
            source=str(attributes.get("source", "")),
            extra=extra,
        )


class RaggedSet(Sequence[Frame]):
    """Lazy, read-only view of a set.

    Only the atom counts are in memory (4 bytes a frame). The file is opened by the
    process that first reads from it and never shared with another one: HDF5 handles
    that cross a fork return corrupt data.

    Args:
        path: File in the layout of this module.

    Raises:
        DataError: Missing, not HDF5, truncated, or lacking what the layout needs.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._owner = 0
        file = self._open()
        for name in ("n_atoms", "atomic_numbers", "positions"):
            if name not in file:
                raise DataError(
                    f"{path}: no dataset {name!r}; this is not a set in the project's "
                    "layout, convert it with `physml data import`"
                )
        attributes = dict(file.attrs)
        for key, unit in UNITS.items():
            found = attributes.get(key, unit)
            if str(found) != unit:
                raise DataError(
                    f"{path}: {key} is {found!r}, but the layout is in {unit}; convert "
                    "it with `physml data import`"
                )
        self.metadata = Metadata.from_attributes(attributes)
        self.n_atoms: Array = file["n_atoms"][:].astype(np.int32)
        total = int(self.n_atoms.sum(dtype=np.int64))
        for name in (*PER_ATOM, *PER_FRAME):
            rows = total if name in PER_ATOM else len(self.n_atoms)
            if name in file and len(file[name]) != rows:
                raise DataError(
                    f"{path}: {name} has {len(file[name])} rows, but n_atoms asks for "
                    f"{rows}; the file is damaged, write it again"
                )
        self.columns = tuple(n for n in (*PER_ATOM, *PER_FRAME) if n in file)

    @cached_property
    def offsets(self) -> Array:
        """First row of each frame, and the end: int64 (M + 1,)."""
        return np.concatenate([[0], np.cumsum(self.n_atoms, dtype=np.int64)])

    def has(self, name: str) -> bool:
        """Whether the set has this column."""
        return name in self.columns

    def column(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start:stop`` of a dataset, all of them by default."""
        return cast(Array, self._open()[name][start:stop])

    def __len__(self) -> int:
        return len(self.n_atoms)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.read(np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path}: frame {index} of {len(self)}")
        return self._slab(index % len(self), index % len(self) + 1)[0]

    def __iter__(self) -> Iterator[Frame]:
        return (f for slab in self.slabs() for f in slab)

    def slabs(self, frames: int = 4096) -> Iterator[list[Frame]]:
        """All frames in order, a bounded number in memory at a time."""
        for start in range(0, len(self), frames):
            yield self._slab(start, min(start + frames, len(self)))

    def read(self, indices: Array) -> list[Frame]:
        """Frames in the order asked for; neighbours in the file are read at once."""
        order = np.argsort(indices, kind="stable")
        found: dict[int, Frame] = {}
        for run in _runs(np.unique(np.asarray(indices)[order])):
            found.update(enumerate(self._slab(run[0], run[-1] + 1), start=int(run[0])))
        return [found[int(i)] for i in indices]

    def _slab(self, start: int, stop: int) -> list[Frame]:
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        atoms = {n: self.column(n, first, last) for n in PER_ATOM if self.has(n)}
        whole = {n: self.column(n, start, stop) for n in PER_FRAME if self.has(n)}
        frames = []
        for k in range(stop - start):
            rows = slice(
                int(self.offsets[start + k]) - first,
                int(self.offsets[start + k + 1]) - first,
            )
            frames.append(
                Frame(
                    numbers=atoms["atomic_numbers"][rows],
                    positions=atoms["positions"][rows],
                    forces=atoms["forces"][rows] if "forces" in atoms else None,
                    energy=_energy(whole, k),
                    cell=whole["cell"][k] if "cell" in whole else None,
                    pbc=whole["pbc"][k].astype(bool) if "pbc" in whole else None,
                    name=_text(whole, "name", k),
                    smiles=_text(whole, "smiles", k),
                )
            )
        return frames

    def _open(self) -> h5py.File:
        if self._file is None or self._owner != os.getpid():
            if not self.path.is_file():
                raise DataError(f"{self.path}: no such file")
            try:
                self._file = h5py.File(self.path, "r")
            except OSError as error:
                raise DataError(
                    f"{self.path}: not an HDF5 file, or truncated ({error}); copy or "
                    "import it again"
                ) from error
            self._owner = os.getpid()
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_owner": 0}


def _energy(whole: dict[str, Array], k: int) -> float | None:
    if "energy" not in whole or np.isnan(whole["energy"][k]):
        return None
    return float(whole["energy"][k])


def _text(whole: dict[str, Array], name: str, k: int) -> str | None:
    if name not in whole:
        return None
    value = whole[name][k]
    return value.decode() if isinstance(value, bytes) else str(value)


def _runs(sorted_indices: Array) -> list[Array]:
    """Split into stretches of consecutive numbers."""
    breaks = np.flatnonzero(np.diff(sorted_indices) != 1) + 1
    return [run for run in np.split(sorted_indices, breaks) if len(run)]
