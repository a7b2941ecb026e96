"""Tables of SMILES with predicted properties on the right.

Long ones are worked on in processes, resumable, failures listed.
See `Chunks`: the file is the same however often the work was interrupted.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ase_physml.calculators.provenance import model_identity
from ase_physml.chem.embed import MAX_ATOMS
from ase_physml.data.files.smiles_file import SmilesFile
from ase_physml.data.frame import Array
from ase_physml.jobs.chunks import Chunks
from ase_physml.jobs.disk import atomic_write, writing
from ase_physml.jobs.failures import Failure, list_failures
from ase_physml.jobs.identity import Identity
from ase_physml.workflows.molecular_properties import (
    PropertyPredictions,
    fingerprint_columns,
    predict_properties,
)

# Enough to find batches of equal size among them, few enough to lose to a kill.
_CHUNK = 2048
# Number of the format of what an interrupted run leaves.
_FORMAT = 1


@dataclass(frozen=True)
class TableReport:
    """Summary of a table with predicted properties.

    Attributes:
        names: Names of the columns that were added.
        unit: Unit of their values, "" where there is none.
        done: Number of molecules that have them.
        failures: The other molecules, by lines, also listed in ``OUT.failures.csv``.
        unseen: Molecules that have them, but also elements that the model never saw;
            listed in ``OUT.unseen.csv``.
    """

    names: tuple[str, ...]
    unit: str
    done: int
    failures: list[Failure]
    unseen: list[Failure]


def predict_table(
    table: SmilesFile,
    out: Path,
    model: str,
    *,
    fingerprints: bool = False,
    max_atoms: int = MAX_ATOMS,
    processes: int = 1,
    resume: bool = False,
    afresh: bool = False,
    on_molecules: Callable[[int], None] | None = None,
) -> TableReport:
    """Predict properties of all molecules of a table and write it with them.

    Args:
        table: SMILES, any number of rows; those that cannot be read get empty cells.
        out: CSV file; replaced if it exists, and only when complete.
        model: Model of properties: shipped name or path.
        fingerprints: Predict the model's fingerprints instead, a column for each value.
        max_atoms: Number of atoms but hydrogens, at most.
        processes: Number of processes; 1 works here. More need
            ``if __name__ == "__main__":`` in a script.
        resume: Go on with an interrupted run of the same table and model.
        afresh: Forget an interrupted run.
        on_molecules: Function called with the number of molecules just finished.

    Raises:
        PhysMLError: A model that cannot be used, a process that died, or an
            interrupted run that is not this one.
    """
    predict = fingerprint_columns if fingerprints else predict_properties
    work = partial(predict, model=model, max_atoms=max_atoms)
    # Refuses, before any file is made, what no process could use.
    about = work(())
    job = Identity.of(
        "predict",
        _FORMAT,
        model=model_identity(model),
        fingerprints=fingerprints,
        max_atoms=max_atoms,
        molecules=table.smiles,
    )
    with Chunks(out, job, resume=resume, afresh=afresh) as chunks:
        parts = chunks.run(
            table.smiles, _CHUNK, work, _keep, processes=processes, tell=on_molecules
        )
        values = np.concatenate([np.load(_values(stem)) for stem, _ in parts])
        failures, unseen = (
            [_in_file(table, *one) for _, record in parts for one in record[kind]]
            for kind in ("failures", "unseen")
        )
        columns = about.names if fingerprints else _columns(about)
        with writing(out):
            write_table(out, table, columns, values)
        list_failures(out, failures, counted="line")
        list_failures(out, unseen, "unseen", "line")
        chunks.remove()
    done = len(values) - len(failures)
    names = about.names if fingerprints else _predicted(about.names)
    return TableReport(names, about.unit, done, failures, unseen)


def write_table(
    out: str | Path, table: SmilesFile, names: Sequence[str], values: Array
) -> None:
    """Write a CSV file of a table with more columns, when it is complete.

    Args:
        out: File; its folder is made if missing.
        table: Rows of R molecules.
        names: Names of the new columns (C,); one that is there already is followed by a
            number.
        values: Numbers (R, C); NaN is an empty cell.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    taken = list(table.names)
    for name in names:
        taken.append(_unique(name, taken))
    with (
        atomic_write(out) as part,
        part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        lines = csv.writer(file)
        lines.writerow(taken)
        for row, numbers in zip(table.rows, values, strict=True):
            lines.writerow([*row.cells, *map(_cell, numbers)])


def _in_file(table: SmilesFile, place: int, smiles: str, reason: str) -> Failure:
    """Failure by its line, with the reason why the reader found no SMILES."""
    row = table.rows[place]
    return Failure(row.line, smiles, row.problem or reason)


def _keep(
    stem: Path, start: int, chunk: Sequence[str], found: PropertyPredictions
) -> dict[str, Any]:
    """Failures and guesses of a chunk; its numbers go to a file of their own."""
    parts = [found.values] if found.std is None else [found.values, found.std]
    np.save(_values(stem), np.concatenate(parts, axis=1))
    return {
        kind: [[start + f.index, chunk[f.index], f.reason] for f in some]
        for kind, some in (("failures", found.failures), ("unseen", found.unseen))
    }


def _columns(about: PropertyPredictions) -> list[str]:
    """Names of the columns; deviations in a committee stand right of all values."""
    names = _predicted(about.names)
    return [*names, *(f"{n}_std" for n in names)] if about.std is not None else [*names]


def _predicted(names: Sequence[str]) -> tuple[str, ...]:
    """Names not to be taken for what was measured: sets call that "expt" or "exp"."""
    return tuple(f"predicted_{name}" for name in names)


def _values(stem: Path) -> Path:
    return stem.with_suffix(".npy")


def _unique(name: str, taken: Sequence[str]) -> str:
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique


def _cell(value: np.floating | float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"
