"""Some conformers of each drug-like molecule, to be labelled for `organic_delta.pt`.

    python training/delta/make_organic.py openff_minima.h5 --out organic_minima.h5
    physml data label organic_minima.h5 organic_delta.h5 --less tblite:GFN2-xTB \
        --precision f4 --processes 2
    physml data split organic_delta.h5 organic_split.json --by smiles --test 0.05

The baseline takes 0.1 s a conformer, and further ones of a molecule say less than one
of another does.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.progress import track

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.groups import groups_of, numbered
from ase_physml.data.writer import RaggedWriter


def chosen(molecule: np.ndarray, most: int) -> np.ndarray:
    """Frames: at most so many of each molecule, the molecules in random order."""
    random = np.random.default_rng(0)
    shuffled = random.permutation(len(molecule))
    rank = random.permutation(int(molecule.max()) + 1)
    in_order = shuffled[np.argsort(rank[molecule[shuffled]], kind="stable")]
    of_molecule = molecule[in_order]
    first = np.searchsorted(rank[of_molecule], rank[of_molecule])
    kept: np.ndarray = in_order[np.arange(len(in_order)) - first < most]
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("minima", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--most", type=int, default=4, help="conformers of a molecule")
    options = parser.parse_args()
    data = RaggedSet(options.minima)
    frames = chosen(numbered(groups_of(data, "smiles")), options.most)
    with RaggedWriter(options.out, data.metadata) as out:
        for frame in track(data.read(frames), "frames", total=len(frames)):
            out.append(frame)
    print(f"{options.out}: {out.n_frames:,} frames")


if __name__ == "__main__":
    main()
