"""Properties or fingerprints of long tables: in processes, resumable, failures listed.

See `Chunks`: the file is the same however often the work was interrupted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ase_physml.calculators.provenance import model_identity
from ase_physml.chem.etkdg import MAX_ATOMS
from ase_physml.jobs.chunks import Chunks
from ase_physml.jobs.disk import writing
from ase_physml.jobs.failures import Failure, list_failures
from ase_physml.jobs.identity import Identity
from ase_physml.workflows.properties import (
    PropertyPredictions,
    fingerprint_columns,
    predict_properties,
)
from ase_physml.workflows.smiles_tables import SmilesTable

# Enough to find batches of equal size among them, few enough to lose to a kill.
_CHUNK = 2048
_FORMAT = 1


@dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes:
        names: Of the columns that were added.
        unit: Of their values, "" where there is none.
        done: Molecules that have them.
        failures: Of the others, by lines, also listed in ``OUT.failures.csv``.
        unseen: Molecules that have them, but also elements that the model never saw;
            listed in ``OUT.unseen.csv``.
    """

    names: tuple[str, ...]
    unit: str
    done: int
    failures: list[Failure]
    unseen: list[Failure]


def run_properties(
    table: SmilesTable,
    out: Path,
    model: str,
    *,
    fingerprints: bool = False,
    max_atoms: int = MAX_ATOMS,
    processes: int = 1,
    resume: bool = False,
    afresh: bool = False,
    on_molecules: Callable[[int], None] | None = None,
) -> Report:
    """Predict properties of all molecules of a table and write it with them.

    Args:
        table: Any number of rows; those that cannot be read get empty cells.
        out: CSV file; replaced if it exists, and only when complete.
        model: Shipped name or path of a model of properties.
        fingerprints: The model's fingerprints instead, a column for each number.
        max_atoms: Without hydrogens, that a molecule may have.
        processes: 1 works here. More need ``if __name__ == "__main__":`` in a script.
        resume: Go on with an interrupted run of the same table and model.
        afresh: Forget an interrupted run.
        on_molecules: Called with the number of molecules just finished.

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
            table.with_columns(columns, values).write(out)
        list_failures(out, failures, counted="line")
        list_failures(out, unseen, "unseen", "line")
        chunks.remove()
    done = len(values) - len(failures)
    names = about.names if fingerprints else _predicted(about.names)
    return Report(names, about.unit, done, failures, unseen)


def _in_file(table: SmilesTable, row: int, smiles: str, reason: str) -> Failure:
    """By its line, and with the reason why the reader found none."""
    return Failure(table.lines[row], smiles, table.problems.get(row, reason))


def _keep(
    stem: Path, start: int, chunk: Sequence[str], found: PropertyPredictions
) -> dict[str, Any]:
    """Numbers go to a file of their own; returned is what there is to say of some."""
    parts = [found.values] if found.std is None else [found.values, found.std]
    np.save(_values(stem), np.concatenate(parts, axis=1))
    return {
        kind: [[start + f.index, chunk[f.index], f.reason] for f in some]
        for kind, some in (("failures", found.failures), ("unseen", found.unseen))
    }


def _columns(about: PropertyPredictions) -> list[str]:
    """Of the table; how far a committee's members part stands right of all values."""
    names = _predicted(about.names)
    return [*names, *(f"{n}_std" for n in names)] if about.std is not None else [*names]


def _predicted(names: Sequence[str]) -> tuple[str, ...]:
    """Not to be taken for what was measured: sets call that "expt" or "exp"."""
    return tuple(f"predicted_{name}" for name in names)


def _values(stem: Path) -> Path:
    return stem.with_suffix(".npy")
