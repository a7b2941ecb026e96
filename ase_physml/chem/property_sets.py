"""Property sets: molecules with targets, in one file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from ase_physml.chem.features import Order, featurise
from ase_physml.chem.initial_geometry import featurise_with_conformer
from ase_physml.chem.molecule_sets import build_store
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.data.frame import Array
from ase_physml.data.property_tables import PropertyTable, Task
from ase_physml.errors import DataError
from ase_physml.jobs.failures import Failure, list_failures

# Times the standard deviation of a column: so far measurements of a molecule may part.
_REPEATED = 0.1


@dataclass(frozen=True)
class PropertySet:
    """M molecules and T targets of each.

    Attributes:
        name: Name of the set.
        store: Molecules, with a column ``index``: the row of the table.
        targets: Values in ``unit``, or classes, float64 (M, T), NaN where missing.
        target_names: Names of the targets (T,).
        task: Kind of the targets.
        unit: Unit of the targets.
        classes: Number of classes of each target of a task that is no regression.
    """

    name: str
    store: MoleculeStore
    targets: Array
    target_names: tuple[str, ...]
    task: Task = "regression"
    unit: str = ""
    classes: int = 2

    @property
    def smiles(self) -> Array:
        """Canonical SMILES (M,)."""
        return self.store.smiles

    def select(self, indices: Array) -> PropertySet:
        """Set of these molecules, in this order."""
        return replace(
            self, store=self.store.select(indices), targets=self.targets[indices]
        )

    def save(self, path: str | Path) -> None:
        """Write as a store that knows its targets; see `MoleculeStore.save`."""
        facts = {**self.store.facts, "property": json.dumps(self._about())}
        store = replace(self.store.with_columns(targets=self.targets), facts=facts)
        store.save(path)

    @classmethod
    def load(cls, path: str | Path) -> PropertySet:
        """Read a file that `save` wrote.

        Raises:
            DataError: As of `MoleculeStore.load`, or a store without targets.
        """
        store = MoleculeStore.load(path)
        if "property" not in store.facts:
            raise DataError(f"{path}: molecules without targets; import a table")
        about = json.loads(store.facts["property"])
        return cls(
            name=about["name"],
            store=store,
            targets=store.columns["targets"],
            target_names=tuple(about["target_names"]),
            task=cast(Task, about["task"]),
            unit=about["unit"],
            classes=int(about["classes"]),
        )

    @classmethod
    def of_energies(cls, store: MoleculeStore, name: str) -> PropertySet:
        """Set of the molecules of a store that have an energy, as regression in eV."""
        known = np.flatnonzero(np.isfinite(store.columns["energy"]))
        chosen = store.select(known)
        energies = chosen.columns["energy"][:, None]
        return cls(name, chosen, energies, ("energy",), unit="eV")

    def _about(self) -> dict[str, object]:
        return _about(self.name, self.target_names, self.task, self.unit, self.classes)


def import_table(
    table: PropertyTable,
    out: str | Path,
    *,
    conformers: bool = True,
    seed: int = 0,
    order: Order = "smiles",
    processes: int = 1,
    afresh: bool = False,
    on_items: Callable[[int], None] | None = None,
) -> tuple[PropertySet, list[Failure]]:
    """Featurise the molecules of a table and save the set.

    Args:
        table: Table that `ase_physml.data.property_tables.read_table` read.
        out: File of the set.
        conformers: Add a conformation of each molecule, ETKDGv3 and MMFF94; where that
            fails, the molecule has none (see `MoleculeStore.has_positions`).
        seed: Seed of the conformations.
        order: Order of the atoms; see `ase_physml.chem.features.featurise`.
        processes: Number of processes, as of `build_store`.
        afresh: Forget what an interrupted run left.
        on_items: Function called with the number of rows just finished.

    Values of one molecule that contradict each other are left out, unless the set is a
    published one; see `contradictions`.

    Returns:
        Set, and rows left out, by lines of the table, also listed in
        ``OUT.failures.csv``.

    Raises:
        DataError: As of `build_store`.
    """
    columns = table.format
    about = _about(
        columns.name, columns.targets, columns.task, columns.unit, columns.classes
    )
    facts = {"order": order, "property": json.dumps(about)}
    if conformers:
        facts["conformers"] = f"ETKDGv3 with hydrogens, seed {seed}, MMFF94"
        work = partial(featurise_with_conformer, seed=seed, order=order)
    else:
        work = partial(featurise, order=order)
    _, left_out = build_store(
        table.smiles,
        work,
        out,
        facts,
        columns={"targets": table.targets},
        processes=processes,
        afresh=afresh,
        on_items=on_items,
    )
    found = PropertySet.load(out)
    failures = [
        *table.failures,
        *(replace(f, index=table.lines[f.index]) for f in left_out),
    ]
    if not table.published:
        found, twice = _without_contradictions(found, table, out)
        failures += twice
    failures.sort(key=lambda failure: failure.index)
    list_failures(Path(out), failures, counted="line")
    return found, failures


def contradictions(smiles: Array, targets: Array, task: Task) -> Array:
    """True of values that contradict another of the same molecule, bool (M, T).

    Args:
        smiles: Canonical SMILES (M,).
        targets: Values (M, T), NaN where there is none.
        task: Kind of the targets. Classes contradict if they differ; numbers if by more
            than a tenth of the standard deviation of the whole column, as repeated
            measurements do not.
    """
    _, molecule = np.unique(smiles.astype(str), return_inverse=True)
    count = int(molecule.max(initial=-1)) + 1
    low, high = (np.full((count, targets.shape[1]), sign) for sign in (np.inf, -np.inf))
    np.fmin.at(low, molecule, targets)
    np.fmax.at(high, molecule, targets)
    allowed = np.zeros(targets.shape[1])
    if task == "regression":
        known = np.isfinite(targets)
        mean = np.where(known, targets, 0.0).sum(0) / np.maximum(known.sum(0), 1)
        squares = np.where(known, targets - mean, 0.0) ** 2
        allowed = _REPEATED * np.sqrt(squares.sum(0) / np.maximum(known.sum(0), 1))
    found: Array = (high - low > allowed)[molecule] & np.isfinite(targets)
    return found


def _without_contradictions(
    found: PropertySet, table: PropertyTable, out: str | Path
) -> tuple[PropertySet, list[Failure]]:
    wrong = contradictions(found.smiles, found.targets, found.task)
    if not wrong.any():
        return found, []
    lines = np.array(table.lines)[found.store.columns["index"]]
    failures = []
    for row in np.flatnonzero(wrong.any(axis=1)):
        others = lines[(found.smiles == found.smiles[row]) & wrong.any(axis=1)]
        listed = ", ".join(str(line) for line in others if line != lines[row])
        column = found.target_names[int(wrong[row].argmax())]
        name = str(found.smiles[row])
        reason = f"line {listed} has the same molecule with another value of {column!r}"
        failures.append(Failure(int(lines[row]), name, f"{reason}; correct one"))
    kept = replace(found, targets=np.where(wrong, np.nan, found.targets))
    left = ~wrong.any(axis=1) | np.isfinite(kept.targets).any(axis=1)
    if not left.any():
        raise DataError(f"{out}: {failures[0].reason}; nothing is left")
    kept = kept.select(np.flatnonzero(left))
    kept.save(out)
    return kept, failures


def _about(
    name: str, target_names: tuple[str, ...], task: str, unit: str, classes: int
) -> dict[str, object]:
    """Facts that a file states of its targets."""
    return {
        "name": name,
        "target_names": target_names,
        "task": task,
        "unit": unit,
        "classes": classes,
    }
