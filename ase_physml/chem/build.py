"""Making a store of many molecules: in processes, resumable, failures listed.

See `Chunks`: the store is the same however often the work was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rdkit

from ase_physml.chem.featurise import Featurised
from ase_physml.chem.store import MoleculeStore
from ase_physml.data.frame import Array, Frame
from ase_physml.errors import DataError
from ase_physml.jobs.chunks import Chunks
from ase_physml.jobs.failures import Failure, list_failures
from ase_physml.jobs.identity import Identity

_CHUNK = 500
_FORMAT = 1

Work = Callable[[Any], Featurised]
"""From one item of the input to a molecule; raises `DataError` where there is none."""

_Part = tuple[MoleculeStore | None, dict[int, str]]


@dataclass(frozen=True)
class Built:
    """What building did.

    Attributes:
        store: With a column ``index``, the place of each molecule in the input.
        failures: Items left out, also listed in ``OUT.failures.csv``.
    """

    store: MoleculeStore
    failures: list[Failure]


def build(
    items: Sequence[Any],
    work: Work,
    out: str | Path,
    facts: dict[str, str],
    *,
    columns: dict[str, Array] | None = None,
    processes: int = 1,
    afresh: bool = False,
    on_items: Callable[[int], None] | None = None,
) -> Built:
    """Featurise items and save the store.

    Args:
        items: Whatever ``work`` takes and pickle can send; cut with slices.
        work: A function at the top level of a module, or a partial of one.
        out: File of the store; replaced if it exists, and only when complete.
        facts: What is done, kept in the file; an interrupted run goes on only with the
            same facts and the same items.
        columns: Of the store, one value for each item.
        processes: 1 works here. More need ``if __name__ == "__main__":`` in a script.
        afresh: Forget what an interrupted run left.
        on_items: Called with the number of items just finished.

    Raises:
        DataError: No item gave a molecule, a process died, or an interrupted run did
            something else.
    """
    out = Path(out)
    facts = {**facts, "rdkit": rdkit.__version__}
    job = Identity.of("molecules", _FORMAT, facts=facts, items=len(items))
    chunks = Chunks(out, job, resume=True, afresh=afresh)
    with chunks:
        parts = chunks.run(
            items,
            _CHUNK,
            partial(_of_chunk, work),
            _keep,
            processes=processes,
            tell=on_items,
        )
        store, failures = _together(parts)
    if store is None:
        first = failures[0].reason if failures else "there are no items"
        raise DataError(f"{out}: not one molecule of {len(items)} items; {first}")
    store = replace(store, facts=facts)
    index = store.columns["index"]
    store = store.with_columns(**{n: v[index] for n, v in (columns or {}).items()})
    store.save(out)
    list_failures(out, failures)
    chunks.remove()
    return Built(store, failures)


def _of_chunk(work: Work, chunk: Sequence[Any]) -> _Part:
    molecules, index, reasons = [], [], {}
    for k, item in enumerate(chunk):
        try:
            molecules.append(work(item))
            index.append(k)
        except DataError as error:
            reasons[k] = str(error)
    if not molecules:
        return None, reasons
    return MoleculeStore.of(molecules).with_columns(index=np.array(index)), reasons


def _keep(
    stem: Path, start: int, chunk: Sequence[Any], part: _Part
) -> list[tuple[int, str, str]]:
    """The store goes to a file of its own; returned are the failures."""
    store, reasons = part
    if store is not None:
        index = store.columns["index"] + start
        store.with_columns(index=index).save(stem.with_suffix(".h5"))
    return [(start + k, _name(chunk[k]), why) for k, why in reasons.items()]


def _together(
    parts: Sequence[tuple[Path, Any]],
) -> tuple[MoleculeStore | None, list[Failure]]:
    files = [stem.with_suffix(".h5") for stem, _ in parts]
    stores = [MoleculeStore.load(file) for file in files if file.exists()]
    failures = [Failure(*one) for _, record in parts for one in record]
    return MoleculeStore.concatenate(stores) if stores else None, failures


def _name(item: object) -> str:
    return (item.name or "") if isinstance(item, Frame) else str(item)
