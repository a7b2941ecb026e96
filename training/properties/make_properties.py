"""Property sets for PhysChem and HamNet from tables, with conformers from RDKit.

    python training/properties/make_properties.py esol.csv sars_cov_2.csv \
        --out properties \
        --processes 2

Writes a set and two splits, random 8:1:1 and by scaffold, for each table. Sets of
energies (``qm7.h5``) keep their own geometries. May be interrupted and started again.

Of total energies nearly all is that of the elements:

    python training/properties/make_properties.py qm9_energies.h5 --out properties \
        --less-elements training/splits/qm9_energies.json

subtracts what a sum over elements explains of the training part of that split.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from rich.progress import Progress

from ase_physml.chem.molecule_sets import perceive_sets, random_split, scaffold_split
from ase_physml.chem.property_sets import PropertySet, import_table
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.data.property_tables import read_table
from ase_physml.errors import DataError
from ase_physml.jobs.failures import Failure
from ase_physml.training.reference import composition

Result = tuple[PropertySet, list[Failure]]


def from_table(
    path: Path, out: Path, processes: int, progress: Progress, conformers: bool
) -> Result:
    table = read_table(path)
    task = progress.add_task(path.stem, total=len(table.smiles))
    return import_table(
        table,
        out,
        conformers=conformers,
        processes=processes,
        on_items=lambda n: progress.advance(task, n),
    )


def from_energies(
    path: Path, out: Path, processes: int, progress: Progress, like: Path | None
) -> Result:
    task = progress.add_task(path.stem, total=len(RaggedSet(path)))
    store, failures = perceive_sets(
        [path], out, processes=processes, on_items=lambda n: progress.advance(task, n)
    )
    found = PropertySet.of_energies(store, path.stem)
    if like is not None:
        found = less_elements(found, RaggedSet(path), Split.load(like))
    found.save(out)
    return found, failures


def less_elements(found: PropertySet, data: RaggedSet, split: Split) -> PropertySet:
    """Energies less a sum over elements, fitted to the training part of the frames."""
    if split.size != len(data):
        raise DataError(
            f"--less-elements splits {split.size:,} frames, but {data.path} has "
            f"{len(data):,}; give the split of this set"
        )
    elements = tuple(np.unique(data.column("atomic_numbers")).tolist())
    counts, energies = composition(data, elements, 0, len(data)), data.column("energy")
    train = split.train[np.isfinite(energies[split.train])]
    of_elements, *_ = np.linalg.lstsq(counts[train], energies[train])
    explained = counts @ of_elements
    rest = found.targets - explained[found.store.columns["frame"]][:, None]
    return replace(found, targets=rest, target_names=("energy less its elements",))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.add_argument("--seed", type=int, default=0, help="of the random split")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--no-conformers", action="store_true", help="of tables")
    parser.add_argument("--less-elements", type=Path, help="split of a set of energies")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with Progress() as progress:
        for path in options.tables:
            out = options.out / f"{path.stem}.h5"
            if out.resolve() == path.resolve():
                parser.error(f"{out} would overwrite {path}: choose another --out")
            if h5py.is_hdf5(path):
                like = options.less_elements
                found, failures = from_energies(
                    path, out, options.processes, progress, like
                )
            else:
                conformers = not options.no_conformers
                found, failures = from_table(
                    path, out, options.processes, progress, conformers
                )
            store = found.store
            random_split(store, options.seed).save(out.with_suffix(".random.json"))
            scaffold_split(store).save(out.with_suffix(".scaffold.json"))
            without = len(store) - int(store.has_positions.sum())
            progress.print(
                f"{out}: {len(store):,} molecules, {len(set(store.smiles)):,} "
                f"different, {len(failures)} left out, {without} without conformer",
                soft_wrap=True,
            )


if __name__ == "__main__":
    main()
