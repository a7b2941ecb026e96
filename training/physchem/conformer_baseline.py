"""Errors of RDKit's conformers, for the tables of PhysChem.

    python training/physchem/conformer_baseline.py qm9_molecules.h5 \
        --split qm9_split.json

One conformer of each molecule by ETKDGv3 with hydrogens, as it comes, relaxed with UFF,
and with MMFF94. The error of a molecule is the root mean square, over all ordered pairs
of its heavy atoms (i and j equal included), of the error of their distance; printed is
the mean over molecules.
"""

import argparse
from pathlib import Path
from typing import get_args

import numpy as np
from rich.progress import track
from scipy.spatial.distance import cdist

from ase_physml.chem.features import Order
from ase_physml.chem.initial_geometry import ForceField, featurise_with_conformer
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.data.index_split import Split
from ase_physml.errors import DataError


def rms_distance_error(a: np.ndarray, b: np.ndarray) -> float:
    """Error of the distances of two conformations, (n, 3), Å, of one molecule, Å."""
    return float(np.sqrt(np.mean((cdist(a, a) - cdist(b, b)) ** 2)))


def errors_of(
    store: MoleculeStore, force_field: ForceField, seed: int
) -> tuple[np.ndarray, int]:
    """RMS distance error of each molecule, NaN on failure, and the failures."""
    order: Order = "rank" if store.facts.get("order") == "rank" else "smiles"
    true = np.split(store.rows["positions"], np.cumsum(store.n_atoms)[:-1])
    errors = np.full(len(store), np.nan)
    pairs = zip(store.smiles, true, strict=True)
    for k, (smiles, positions) in enumerate(track(list(pairs), force_field)):
        found = featurise_with_conformer(str(smiles), seed, force_field, order)
        if found.positions is not None:
            errors[k] = rms_distance_error(found.positions, positions)
    return errors, int(np.isnan(errors).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--split", type=Path, help="take its test part")
    parser.add_argument("--limit", type=int, default=500, help="of molecules")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    store = MoleculeStore.load(options.store)
    if options.split is None:
        indices = np.random.default_rng(options.seed).permutation(len(store))
    else:
        split = Split.load(options.split)
        if split.size != len(store):
            raise DataError(
                f"{options.split}: made for {split.size:,} molecules, but the store "
                f"has {len(store):,}; make a split of this store"
            )
        indices = split.test
    test = store.select(indices[: options.limit])
    print(f"{len(test)} molecules, one conformer each, seed {options.seed}")
    for force_field in get_args(ForceField):
        errors, failed = errors_of(test, force_field, options.seed)
        print(
            f"ETKDGv3, relaxed by {force_field:7s} RMS distance error: mean "
            f"{np.nanmean(errors):.4f} Å, median {np.nanmedian(errors):.4f} Å, "
            f"{failed} failed"
        )


if __name__ == "__main__":
    main()
