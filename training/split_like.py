"""Split molecules perceived from a set as that set was split.

    python training/split_like.py qm9_molecules.h5 --like SPLIT.json --out OUT.json

``--like`` (`splits/qm9_energies.json` here) splits the first of the sets that the
store was made from. Molecules of the other sets are trained on, unless the same SMILES
is in the validation or test part: equal molecules are always on one side. What is held
out from `qm9.pt` is so held out from conformer models too.
"""

import argparse
from pathlib import Path

import numpy as np

from ase_physml.chem.molecules import MoleculeStore
from ase_physml.data.index_split import Split


def split_like(store: MoleculeStore, like: Split) -> Split:
    """Parts of the molecules of a store; test comes before validation."""
    first = store.columns["file"] == 0
    part = np.zeros(len(store), dtype=np.int64)
    for number, frames in ((1, like.val), (2, like.test)):
        held = first & np.isin(store.columns["frame"], frames)
        part[np.isin(store.smiles, store.smiles[held])] = number
    random = np.random.default_rng(0)
    train, val, test = (np.flatnonzero(part == number) for number in range(3))
    # In random order, so that "the first 1000" is a fair sample.
    return Split(train, random.permutation(val), random.permutation(test))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--like", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    store = MoleculeStore.load(options.store)
    split = split_like(store, Split.load(options.like))
    split.save(options.out)
    print(f"{len(split.train)} / {len(split.val)} / {len(split.test)} molecules")


if __name__ == "__main__":
    main()
