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

Tables with a column ``gdb9_index`` (``qm8.csv``) can take their geometries from QM9:

    python training/properties/make_properties.py qm8.csv --out properties \
        --geometries qm9_energies.h5 qm9_geometries.h5

Rows whose molecule is in none of them, or whose formula is another there, are left out.
The raw archive of QM9, ``dsgdb9nsd.xyz.tar.bz2``, becomes a set of its twelve
properties, in ASE's units.
"""

import argparse
import csv
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from ase.data import chemical_symbols
from rdkit import Chem
from rich.progress import Progress

from ase_physml.chem.bonds import featurise_frame
from ase_physml.chem.molecule_sets import (
    build_store,
    perceive_sets,
    random_split,
    scaffold_split,
)
from ase_physml.chem.property_sets import PropertySet, import_table
from ase_physml.data.columns import text
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.importers.qm9_archive import TARGETS, read_properties
from ase_physml.data.index_split import Split
from ase_physml.data.property_tables import PropertyTable, read_table
from ase_physml.errors import DataError
from ase_physml.jobs.failures import Failure, list_failures
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


def from_archive(path: Path, out: Path, processes: int, progress: Progress) -> Result:
    """The twelve properties of QM9's raw archive, and its geometries."""
    pairs = list(read_properties(path))
    task = progress.add_task(path.name, total=len(pairs))
    store, failures = build_store(
        [frame for frame, _ in pairs],
        partial(featurise_frame, order="smiles"),
        out,
        {"order": "smiles", "bonds": "perceived"},
        columns={"targets": np.array([values for _, values in pairs])},
        processes=processes,
        on_items=lambda n: progress.advance(task, n),
    )
    found = PropertySet("qm9", store, store.columns["targets"], TARGETS)
    found.save(out)
    return found, failures


def from_geometries(
    path: Path, out: Path, processes: int, progress: Progress, sets: list[Path]
) -> Result:
    """Table whose molecules are known by their numbers in QM9's sets of geometries."""
    table = read_table(path)
    frames = frames_of(sets, numbers_of(path, table))
    rows = [k for k, frame in enumerate(frames) if is_of(frame, table.smiles[k])]
    missing = [
        Failure(table.lines[k], table.smiles[k], "no such geometry in --geometries")
        for k in sorted({*range(len(frames))} - {*rows})
    ]
    task = progress.add_task(path.stem, total=len(rows))
    store, failures = build_store(
        [frames[k] for k in rows],
        partial(featurise_frame, order="smiles"),
        out,
        {"order": "smiles", "bonds": "perceived"},
        columns={"targets": table.targets[rows]},
        processes=processes,
        on_items=lambda n: progress.advance(task, n),
    )
    about = table.format
    found = PropertySet(
        about.name, store, store.columns["targets"], about.targets, unit=about.unit
    )
    found.save(out)
    list_failures(out, [*missing, *failures])
    return found, [*missing, *failures]


def numbers_of(path: Path, table: PropertyTable) -> list[int]:
    """Number in QM9 of each row of a table."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "gdb9_index" not in rows[0]:
        raise DataError(
            f"{path}: has no column gdb9_index, which --geometries needs; leave it out"
        )
    return [int(rows[line - 2]["gdb9_index"]) for line in table.lines]


def frames_of(sets: list[Path], numbers: list[int]) -> list[Frame | None]:
    """Frames by their numbers in QM9, at the end of their names."""
    found: dict[int, Frame] = {}
    for path in sets:
        data = RaggedSet(path)
        names = [int(text(name).rpartition("_")[2]) for name in data.column("name")]
        chosen = np.flatnonzero(np.isin(names, numbers))
        found |= zip((names[k] for k in chosen), data.read(chosen), strict=True)
    return [found.get(number) for number in numbers]


def is_of(frame: Frame | None, smiles: str) -> bool:
    """True if there is a frame, of the formula of these SMILES."""
    if frame is None:
        return False
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    written = Counter(atom.GetSymbol() for atom in molecule.GetAtoms())
    return written == Counter(chemical_symbols[z] for z in frame.numbers)


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
    parser.add_argument(
        "--geometries", type=Path, nargs="+", help="sets of QM9, for gdb9_index"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with Progress() as progress:
        for path in options.tables:
            archive = path.name.partition(".")[2].startswith("xyz.tar")
            name = "qm9" if archive else path.stem
            out = options.out / f"{name}.h5"
            if out.resolve() == path.resolve():
                parser.error(f"{out} would overwrite {path}: choose another --out")
            if archive:
                found, failures = from_archive(path, out, options.processes, progress)
            elif h5py.is_hdf5(path):
                like = options.less_elements
                found, failures = from_energies(
                    path, out, options.processes, progress, like
                )
            elif options.geometries:
                found, failures = from_geometries(
                    path, out, options.processes, progress, options.geometries
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
