"""Perceive the bonds of sets of geometries, for PhysChem and HamNet.

    python training/physchem/make_molecules.py qm9_energies.h5 qm9_geometries.h5 \
        --out qm9_molecules.h5 --processes 2

May be interrupted and started again. Frames whose bonds cannot be told are left out
and listed in ``OUT.failures.csv``.
"""

import argparse
import time
from pathlib import Path

from rich.progress import Progress

from ase_physml.chem.molecule_sets import perceive_sets
from ase_physml.data.dataset import RaggedSet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--order", choices=("smiles", "rank"), default="smiles")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    total = sum(len(RaggedSet(path)) for path in options.sets)
    begin = time.perf_counter()
    with Progress() as progress:
        task = progress.add_task("molecules", total=total)
        store, failures = perceive_sets(
            options.sets,
            options.out,
            order=options.order,
            processes=options.processes,
            on_items=lambda n: progress.advance(task, n),
        )
    seconds = time.perf_counter() - begin
    print(
        f"{options.out}: {len(store):,} molecules, {len(failures):,} left "
        f"out, {total / seconds:,.0f} per second"
    )


if __name__ == "__main__":
    main()
