"""Molecules with what RDKit computes of them, for models to learn before they measure.

    python training/properties/make_properties.py sars_cov_2.csv \
        --no-conformers --out unlabelled
    python training/properties/make_descriptors.py unlabelled/sars_cov_2.h5 \
        qm9_molecules.h5 \
        --limit 12000 --test properties/{lipophilicity,esol,freesolv,tox21}.h5 \
        --test-limit 250 --out descriptors.h5

Takes the molecules of stores, and no label of theirs. Those of the sets after
``--test`` are left out, so that none of them has been seen when a model goes on to
learn one of these; some make up the test part here. A descriptor is cut off at the
0.5 and 99.5 % quantiles, beyond which a few molecules would make up the whole loss;
those that are constant within are left out.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem import Descriptors
from rich.progress import track

from ase_physml.chem.molecules import MoleculeStore
from ase_physml.chem.property_sets import PropertySet
from ase_physml.data.frame import Array
from ase_physml.data.index_split import make_split

_TAIL = 0.005
_LEFT_OUT = "Ipc"  # up to 1e19; AvgIpc says the same


def molecules(paths: list[Path], without: set[str], limit: int) -> MoleculeStore:
    """Different molecules of some stores, at most ``limit`` of each, at random."""
    random = np.random.default_rng(0)
    known = set(without)
    parts = []
    for path in paths:
        store = MoleculeStore.load(path)
        chosen: list[int] = []
        for index in random.permutation(len(store)).tolist():
            smiles = str(store.smiles[index])
            if smiles not in known and len(chosen) < limit:
                known.add(smiles)
                chosen.append(index)
        part = store.select(np.array(chosen))
        parts.append(replace(part, columns={}, facts={"order": store.facts["order"]}))
    return MoleculeStore.concatenate(parts)


def descriptors(smiles: Array, seen: int) -> tuple[Array, tuple[str, ...]]:
    """Descriptors (M, K) that differ between the first ``seen``, and their names."""
    rows = [
        Descriptors.CalcMolDescriptors(Chem.MolFromSmiles(str(one)))
        for one in track(smiles, "descriptors")
    ]
    names = np.array(list(rows[0]))
    table = np.array([list(row.values()) for row in rows], dtype=np.float64)
    table[~np.isfinite(table)] = np.nan
    low, high = np.nanquantile(table[:seen], [_TAIL, 1.0 - _TAIL], axis=0)
    differ = (high > low) & (names != _LEFT_OUT)
    return np.clip(table, low, high)[:, differ], tuple(names[differ].tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stores", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, required=True, help="of each store")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="stores")
    parser.add_argument("--test-limit", type=int, default=250, help="of each of them")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    held_out = {
        str(smiles)
        for path in options.test
        for smiles in MoleculeStore.load(path).smiles
    }
    train = molecules(options.stores, held_out, options.limit)
    test = molecules(options.test, set(), options.test_limit)
    store = MoleculeStore.concatenate([train, test])
    targets, names = descriptors(store.smiles, len(train))
    PropertySet("descriptors", store, targets, names).save(options.out)
    split = make_split(len(train), (0.04, 0.0), 0)
    last = np.arange(len(train), len(store))
    replace(split, test=last).save(options.out.with_suffix(".json"))
    print(f"{options.out}: {len(store):,} molecules, {len(names)} descriptors")


if __name__ == "__main__":
    main()
