"""Making a store of many molecules: in processes, resumable, failures listed.

The input is cut into slabs. What a slab gives goes to ``OUT.partial/`` as soon as it is
there, and the store is put together at the end: it is the same however often the work
was interrupted and whatever the number of processes.
"""

from __future__ import annotations

import json
import pickle
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rdkit

from ase_physml.data.frame import Array, Frame
from ase_physml.data.label import Failure, list_failures
from ase_physml.data.locking import lock
from ase_physml.data.workers import run_all
from ase_physml.errors import DataError
from ase_physml.molecules.featurise import Featurised
from ase_physml.molecules.store import MoleculeStore

_SLAB = 500

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
        on_items: Called with the number of items just finished.

    Raises:
        DataError: No item gave a molecule, a process died, or an interrupted run did
            something else.
    """
    out, tell = Path(out), on_items or (lambda _: None)
    folder = out.with_name(out.name + ".partial")
    folder.mkdir(parents=True, exist_ok=True)
    facts = {**facts, "rdkit": rdkit.__version__}
    with (folder / "lock").open("ab") as handle:
        if not lock(handle):
            raise DataError(f"{folder}: another process is at this job; wait for it")
        _claim(folder, facts)
        jobs = _missing(items, folder, tell)
        for start, slab, (store, reasons) in run_all(
            jobs, partial(_of_slab, work), processes
        ):
            _keep(folder / f"{start}", slab, store, reasons)
            tell(len(slab))
        store, failures = _together(folder, items)
    if store is None:
        first = failures[0].reason if failures else "there are no items"
        raise DataError(f"{out}: not one molecule of {len(items)} items; {first}")
    store = replace(store, facts=facts)
    index = store.columns["index"]
    store = store.with_columns(**{n: v[index] for n, v in (columns or {}).items()})
    store.save(out)
    list_failures(out, failures)
    shutil.rmtree(folder)
    return Built(store, failures)


def _of_slab(work: Work, slab: Sequence[Any]) -> _Part:
    molecules, index, reasons = [], [], {}
    for k, item in enumerate(slab):
        try:
            molecules.append(work(item))
            index.append(k)
        except DataError as error:
            reasons[k] = str(error)
    if not molecules:
        return None, reasons
    return MoleculeStore.of(molecules).with_columns(index=np.array(index)), reasons


def _claim(folder: Path, facts: dict[str, str]) -> None:
    path = folder / "job.json"
    if not path.exists():
        _write_json(path, facts)
    elif json.loads(path.read_text()) != facts:
        raise DataError(
            f"{folder}: holds an interrupted job that was to do something else; finish "
            "that one, or remove the folder to start over"
        )


def _missing(
    items: Sequence[Any], folder: Path, tell: Callable[[int], None]
) -> Iterator[tuple[int, Sequence[Any]]]:
    """Slabs without a result, each with its first index."""
    for start in range(0, len(items), _SLAB):
        slab = items[start : start + _SLAB]
        path = folder / f"{start}.json"
        if not path.exists():
            yield start, slab
        elif json.loads(path.read_text())["checksum"] == _checksum(slab):
            tell(len(slab))
        else:
            raise DataError(
                f"{folder}: item {start} or one soon after is not what it was when "
                "this job was interrupted; remove the folder to start over"
            )


def _keep(
    path: Path,
    slab: Sequence[Any],
    store: MoleculeStore | None,
    reasons: dict[int, str],
) -> None:
    if store is not None:
        store.save(path.with_suffix(".h5"))
    # Last, since its presence says that the slab is done.
    failures = [[k, _name(slab[k]), reason] for k, reason in reasons.items()]
    content = {"checksum": _checksum(slab), "failures": failures}
    _write_json(path.with_suffix(".json"), content)


def _together(
    folder: Path, items: Sequence[Any]
) -> tuple[MoleculeStore | None, list[Failure]]:
    stores, failures = [], []
    for start in range(0, len(items), _SLAB):
        if (folder / f"{start}.h5").exists():
            store = MoleculeStore.load(folder / f"{start}.h5")
            stores.append(store.with_columns(index=store.columns["index"] + start))
        content = json.loads((folder / f"{start}.json").read_text())
        failures += [Failure(k + start, n, why) for k, n, why in content["failures"]]
    return MoleculeStore.concatenate(stores) if stores else None, failures


def _write_json(path: Path, content: object) -> None:
    partial_ = path.with_name(path.name + ".part")
    partial_.write_text(json.dumps(content))
    partial_.replace(path)


def _name(item: object) -> str:
    return (item.name or "") if isinstance(item, Frame) else str(item)


def _checksum(slab: Sequence[Any]) -> int:
    return zlib.crc32(pickle.dumps(list(slab), protocol=4))
