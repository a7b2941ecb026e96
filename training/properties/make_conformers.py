"""A property set with conformers of RDKit in place of its own geometries.

    python training/properties/make_conformers.py properties/qm7.h5 \
        --out properties/qm7_rdkit.h5

The molecules are the same in the same order, so that splits are: for the papers' rows
"rdkit conformation". Where no conformer is found there is none.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.progress import track

from ase_physml.chem.initial_geometry import featurise_with_conformer
from ase_physml.chem.property_sets import PropertySet


def conformer(smiles: str, atoms: int) -> np.ndarray:
    """Positions of the heavy atoms in canonical order, Å; NaN where there are none."""
    found = featurise_with_conformer(smiles)
    if found.positions is None or len(found.positions) != atoms:
        return np.full((atoms, 3), np.nan, dtype=np.float32)
    return found.positions.astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    data = PropertySet.load(options.data)
    pairs = list(zip(data.smiles, data.store.n_atoms, strict=True))
    parts = [conformer(str(s), int(n)) for s, n in track(pairs, "conformers")]
    facts = {**data.store.facts, "conformers": "ETKDGv3 with hydrogens, MMFF94"}
    rows = {**data.store.rows, "positions": np.concatenate(parts)}
    made = replace(data, store=replace(data.store, rows=rows, facts=facts))
    made.save(options.out)
    without = len(made.store) - int(made.store.has_positions.sum())
    print(f"{options.out}: {len(made.store):,} molecules, {without} without conformer")


if __name__ == "__main__":
    main()
