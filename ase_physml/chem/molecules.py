"""Stores of many featurised molecules in a few arrays.

Everything about one molecule is a run of rows, so any molecules are cut out with a
handful of gathers, without a Python loop. The arrays are the state: a file holds what
is computed with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ase_physml.chem.features import Featurised
from ase_physml.data.columns import text
from ase_physml.data.frame import Array
from ase_physml.data.layout import open_file
from ase_physml.errors import DataError
from ase_physml.jobs.disk import atomic_write

# Of what there are rows, and the dtype in which they are kept; indices count within
# the molecule.
_ROWS: dict[str, dict[str, type]] = {
    "atoms": {
        "atom_features": np.int8,
        "masses": np.float32,
        "input_index": np.uint16,
        "positions": np.float32,
    },
    "edges": {
        "edge_features": np.int8,
        "source": np.uint16,
        "target": np.uint16,
        "reverse": np.uint16,
    },
    "pairs": {"hops": np.uint16},
}
_LARGEST = int(np.iinfo(np.uint16).max)
_LAYOUT = "ase_physml molecules 1"


@dataclass(frozen=True)
class MoleculeStore:
    """M molecules, one after the other.

    Attributes:
        smiles: Canonical SMILES, text (M,).
        n_atoms: Number of heavy atoms of each molecule, int64 (M,).
        n_edges: Number of edges of each molecule, twice its bonds, int64 (M,).
        rows: Arrays of all molecules by their names in `Featurised`. Positions are NaN
            for a molecule without, and missing if no molecule has any.
        columns: Arrays of anything else that there is for each molecule, (M, ...).
        facts: Texts that say where it comes from and how it was made.
    """

    smiles: Array
    n_atoms: Array
    n_edges: Array
    rows: dict[str, Array]
    columns: dict[str, Array] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, molecules: Sequence[Featurised]) -> MoleculeStore:
        """Store of these molecules.

        Raises:
            DataError: There are none, or one has more than 65,535 edges.
        """
        if not molecules:
            raise DataError("there are no molecules to store")
        for molecule in molecules:
            if max(len(molecule.source), len(molecule.masses)) > _LARGEST:
                raise DataError(
                    f"{molecule.smiles[:60]}...: more than {_LARGEST:,} edges are "
                    "too many for a store; leave the molecule out"
                )
        kinds = {name: kind for rows in _ROWS.values() for name, kind in rows.items()}
        if all(molecule.positions is None for molecule in molecules):
            del kinds["positions"]
        return cls(
            smiles=np.array([molecule.smiles for molecule in molecules], dtype=object),
            n_atoms=np.array([len(m.masses) for m in molecules], dtype=np.int64),
            n_edges=np.array([len(m.source) for m in molecules], dtype=np.int64),
            rows={
                name: np.concatenate([_values(m, name) for m in molecules]).astype(kind)
                for name, kind in kinds.items()
            },
        )

    @classmethod
    def concatenate(cls, stores: Sequence[MoleculeStore]) -> MoleculeStore:
        """Store of the molecules of several; facts are those of the first.

        Raises:
            DataError: There are none, or their columns differ.
        """
        if len({frozenset(store.columns) for store in stores}) != 1:
            raise DataError("stores of different columns, or none; join equal ones")
        if any("positions" in store.rows for store in stores):
            stores = [store._with_positions() for store in stores]
        return replace(
            stores[0],
            smiles=np.concatenate([store.smiles for store in stores]),
            n_atoms=np.concatenate([store.n_atoms for store in stores]),
            n_edges=np.concatenate([store.n_edges for store in stores]),
            rows=_joined([store.rows for store in stores]),
            columns=_joined([store.columns for store in stores]),
        )

    def __len__(self) -> int:
        return len(self.n_atoms)

    @cached_property
    def has_positions(self) -> Array:
        """True of molecules that have a conformation, bool (M,)."""
        if "positions" not in self.rows:
            return np.zeros(len(self), dtype=bool)
        starts, _ = self._extent["atoms"]
        known: Array = np.isfinite(self.rows["positions"][starts, 0])
        return known

    def select(self, indices: Array) -> MoleculeStore:
        """Store of these molecules in this order; one may come more than once."""
        indices = np.asarray(indices, dtype=np.int64)
        rows: dict[str, Array] = {}
        for kind, names in _ROWS.items():
            starts, counts = self._extent[kind]
            taken = ranges(starts[indices], counts[indices])
            rows |= {n: self.rows[n][taken] for n in names if n in self.rows}
        return replace(
            self,
            smiles=self.smiles[indices],
            n_atoms=self.n_atoms[indices],
            n_edges=self.n_edges[indices],
            rows=rows,
            columns={name: values[indices] for name, values in self.columns.items()},
        )

    def with_columns(self, **columns: Array) -> MoleculeStore:
        """Store of the same molecules with further columns.

        Raises:
            DataError: Not one value for each molecule.
        """
        for name, values in columns.items():
            if len(values) != len(self):
                raise DataError(f"{len(values)} values of {name} for {len(self)}")
        return replace(self, columns={**self.columns, **columns})

    def save(self, path: str | Path) -> None:
        """Write one HDF5 file, which appears under its name when it is complete."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial, h5py.File(partial, "w") as file:
            file.attrs.update({"layout": _LAYOUT, **self.facts})
            _write(file, "smiles", np.char.encode(self.smiles.astype(str), "utf-8"))
            _write(file, "n_atoms", self.n_atoms)
            _write(file, "n_edges", self.n_edges)
            for group in ("rows", "columns"):
                for name, values in getattr(self, group).items():
                    _write(file, f"{group}/{name}", values)

    @classmethod
    def load(cls, path: str | Path) -> MoleculeStore:
        """Read a file that `save` wrote, all of it: some 600 bytes per QM9 molecule.

        Raises:
            DataError: Missing, damaged, or something else.
        """
        with open_file(Path(path)) as file:
            if text(file.attrs.get("layout", "")) != _LAYOUT:
                raise DataError(
                    f"{path}: not a store of molecules of this version; make it again"
                )
            return cls(
                smiles=np.array([text(s) for s in file["smiles"][:]], dtype=object),
                n_atoms=file["n_atoms"][:],
                n_edges=file["n_edges"][:],
                rows={name: data[:] for name, data in file["rows"].items()},
                columns={n: data[:] for n, data in file.get("columns", {}).items()},
                facts={k: text(v) for k, v in file.attrs.items() if k != "layout"},
            )

    @cached_property
    def _extent(self) -> dict[str, tuple[Array, Array]]:
        """First row and number of rows of each molecule."""
        counts = {
            "atoms": self.n_atoms,
            "edges": self.n_edges,
            "pairs": self.n_atoms * (self.n_atoms - 1) // 2,
        }
        return {kind: (np.cumsum(n) - n, n) for kind, n in counts.items()}

    def _with_positions(self) -> MoleculeStore:
        if "positions" in self.rows:
            return self
        unknown = np.full((int(self.n_atoms.sum()), 3), np.nan, dtype=np.float32)
        return replace(self, rows={**self.rows, "positions": unknown})


def ranges(starts: Array, counts: Array) -> Array:
    """Integers from each start on, as many as counted, in one int64 array."""
    ends = np.cumsum(counts)
    steps = np.arange(int(counts.sum()), dtype=np.int64)
    runs: Array = steps + np.repeat(starts - (ends - counts), counts)
    return runs


def _values(molecule: Featurised, name: str) -> Array:
    if name == "positions" and molecule.positions is None:
        return np.full((len(molecule.masses), 3), np.nan)
    values: Array = getattr(molecule, name)
    return values


def _joined(parts: Sequence[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _write(file: Any, name: str, values: Array) -> None:
    # Empty datasets cannot be chunked, and so not compressed.
    packing = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    file.create_dataset(name, data=values, **(packing if values.size else {}))
