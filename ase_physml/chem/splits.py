"""Splits of molecules: equal ones are always on one side."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from rdkit import Chem

from ase_physml.chem.store import MoleculeStore
from ase_physml.data.index_split import Split, make_split
from ase_physml.errors import DataError

EIGHT_ONE_ONE = (0.1, 0.1)


def random_split(
    store: MoleculeStore, seed: int, fractions: tuple[float, float] = EIGHT_ONE_ONE
) -> Split:
    """Draw validation and test parts among the different canonical SMILES.

    Args:
        store: Molecules, duplicates and all.
        seed: Of the draw.
        fractions: Of validation and of test.

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
        fractions: Of validation and of test; parts hold at most that, training rather
            less than more.

    Raises:
        DataError: Nothing would be left to train on.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, smiles in enumerate(store.smiles):
        groups[scaffold(str(smiles))].append(index)
    sizes = _sizes(len(store), fractions)
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


def _sizes(n: int, fractions: tuple[float, float]) -> tuple[int, int]:
    val, test = (round(fraction * n) for fraction in fractions)
    if min(fractions) < 0 or val + test >= n:
        raise DataError(f"fractions {fractions} of {n} leave nothing to train on")
    return n - val - test, val
