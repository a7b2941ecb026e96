"""Sets of many molecules: made in processes, resumable, failures listed; and split.

See `Chunks`: the set is the same however often the work was interrupted. Equal
molecules are always on one side of a split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
import rdkit
from rdkit import Chem

from ase_physml.chem.bonds import featurise_frame
from ase_physml.chem.features import Featurised, Order
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Array, Frame
from ase_physml.data.index_split import Split, make_split
from ase_physml.errors import DataError
from ase_physml.jobs.chunks import Chunks
from ase_physml.jobs.failures import Failure, list_failures
from ase_physml.jobs.identity import Identity

EIGHT_ONE_ONE = (0.1, 0.1)
"""Fractions of validation and of test."""

# Items that are worked on at a time.
_CHUNK = 500
# Number of the format of what an interrupted run leaves.
_FORMAT = 1

Work = Callable[[Any], Featurised]
"""Function from one item of the input to a molecule; raises `DataError` for none."""

_Part = tuple[MoleculeStore | None, dict[int, str]]


def build_store(
    items: Sequence[Any],
    work: Work,
    out: str | Path,
    facts: dict[str, str],
    *,
    columns: dict[str, Array] | None = None,
    processes: int = 1,
    afresh: bool = False,
    on_items: Callable[[int], None] | None = None,
) -> tuple[MoleculeStore, list[Failure]]:
    """Featurise items and save the store.

    Args:
        items: Input, anything that ``work`` takes and pickle can send; cut with slices.
        work: Function at the top level of a module, or a partial of one.
        out: File of the store; replaced if it exists, and only when complete.
        facts: Texts that say what is done, kept in the file; an interrupted run goes on
            only with the same facts and the same items.
        columns: Columns of the store, one value for each item.
        processes: Number of processes; 1 works here. More need
            ``if __name__ == "__main__":`` in a script.
        afresh: Forget what an interrupted run left.
        on_items: Function called with the number of items just finished.

    Returns:
        Store with a column ``index``, the place of each molecule in the input; and the
        items left out, also listed in ``OUT.failures.csv``.

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
            partial(_work_on, work),
            _keep,
            processes=processes,
            tell=on_items,
        )
        store, failures = _join(parts)
    if store is None:
        first = failures[0].reason if failures else "there are no items"
        raise DataError(f"{out}: not one molecule of {len(items)} items; {first}")
    store = replace(store, facts=facts)
    index = store.columns["index"]
    store = store.with_columns(**{n: v[index] for n, v in (columns or {}).items()})
    store.save(out)
    list_failures(out, failures)
    chunks.remove()
    return store, failures


def perceive_sets(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    order: Order = "smiles",
    processes: int = 1,
    on_items: Callable[[int], None] | None = None,
) -> tuple[MoleculeStore, list[Failure]]:
    """Perceive the bonds of all frames of some sets and save the store.

    Args:
        paths: Files of sets in the project's layout, one after the other.
        out: File of the store. It has the conformation of each molecule and columns
            ``file`` (which of the paths), ``frame`` (which of its frames) and
            ``energy`` (eV, NaN where the set has none).
        order: Order of the atoms; see `ase_physml.chem.features.featurise`.
        processes: Number of processes, as of `build_store`.
        on_items: Function called with the number of frames just finished.

    Returns:
        Store and failures, as of `build_store`.

    Raises:
        DataError: As of `build_store`, or a set cannot be read.
    """
    sets = [RaggedSet(path) for path in paths]
    lengths = [len(frames) for frames in sets]
    facts = {"sources": ", ".join(s.path.name for s in sets), "order": order}
    columns = {
        "file": np.repeat(np.arange(len(sets)), lengths),
        "frame": np.concatenate([np.arange(n) for n in lengths]),
        "energy": np.concatenate([_energies(frames) for frames in sets]),
    }
    return build_store(
        FrameChain(sets),
        partial(featurise_frame, order=order),
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


def random_split(
    store: MoleculeStore, seed: int, fractions: tuple[float, float] = EIGHT_ONE_ONE
) -> Split:
    """Draw validation and test parts among the different canonical SMILES.

    Args:
        store: Molecules, duplicates and all.
        seed: Seed of the random split.
        fractions: Fractions of validation and of test.

    Raises:
        DataError: As of `make_split`.
    """
    return make_split(len(store), fractions, seed, [str(s) for s in store.smiles])


def scaffold_split(
    store: MoleculeStore, fractions: tuple[float, float] = EIGHT_ONE_ONE
) -> Split:
    """Keep molecules of one Bemis-Murcko scaffold together, rare ones for the test.

    Scaffolds go to training, validation and test by falling number of molecules, those
    with equal numbers by their SMILES, each to the first part with room for it: the
    usual scaffold split (MoleculeNet, Wu et al. 2018), without anything random in it.
    Molecules without a ring share the empty scaffold.

    Args:
        store: Molecules, duplicates and all.
        fractions: Fractions of validation and of test; parts hold at most that,
            training rather less than more.

    Raises:
        DataError: Nothing would be left to train on.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, smiles in enumerate(store.smiles):
        groups[scaffold(str(smiles))].append(index)
    sizes = _part_sizes(len(store), fractions)
    parts: tuple[list[int], ...] = ([], [], [])
    for name in sorted(groups, key=lambda name: (-len(groups[name]), name)):
        members = groups[name]
        fitting = (k for k in (0, 1) if len(parts[k]) + len(members) <= sizes[k])
        parts[next(fitting, 2)].extend(members)
    if not parts[0]:
        raise DataError(
            "one scaffold holds more molecules than training may have; use a random "
            "split or smaller fractions"
        )
    train, val, test = (np.sort(np.array(part, dtype=np.int64)) for part in parts)
    return Split(train, val, test)


def scaffold(smiles: str) -> str:
    """Bemis-Murcko scaffold: rings and what links them, without stereochemistry."""
    core = Chem.MurckoDecompose(Chem.MolFromSmiles(smiles))
    core.UpdatePropertyCache()
    found: str = Chem.MolToSmiles(core, isomericSmiles=False)
    return found


def _work_on(work: Work, chunk: Sequence[Any]) -> _Part:
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
    """Failures of a chunk; its store goes to a file of its own."""
    store, reasons = part
    if store is not None:
        index = store.columns["index"] + start
        store.with_columns(index=index).save(stem.with_suffix(".h5"))
    return [(start + k, _name(chunk[k]), why) for k, why in reasons.items()]


def _join(
    parts: Sequence[tuple[Path, Any]],
) -> tuple[MoleculeStore | None, list[Failure]]:
    files = [stem.with_suffix(".h5") for stem, _ in parts]
    stores = [MoleculeStore.load(file) for file in files if file.exists()]
    failures = [Failure(*one) for _, record in parts for one in record]
    return MoleculeStore.concatenate(stores) if stores else None, failures


def _name(item: object) -> str:
    return (item.name or "") if isinstance(item, Frame) else str(item)


def _energies(frames: RaggedSet) -> Array:
    if frames.has("energy"):
        return frames.column("energy")
    return np.full(len(frames), np.nan)


def _part_sizes(n: int, fractions: tuple[float, float]) -> tuple[int, int]:
    val, test = (round(fraction * n) for fraction in fractions)
    if min(fractions) < 0 or val + test >= n:
        raise DataError(f"fractions {fractions} of {n} leave nothing to train on")
    return n - val - test, val
