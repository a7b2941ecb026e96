"""Known transition states that `physml pathway` finds, from SMILES alone.

    python training/reactions/evaluate_pathways.py rdb7_reactions.h5 \
        --data reactions.h5 \
        --split training/reactions/splits/reactions.json --out pathways

Of the reactions whose reactant is in the test part of the split, some are drawn, and
their paths are searched from the mapped SMILES. A path has found the known transition
state if both of these hold:

- its highest image lies within 0.5 Å (RMSD of all atoms, hydrogens too) of the known
  structure or, where the SMILES names no stereocentre, of its mirror image; hydrogens
  that leave the same atom for the same atom may be exchanged;
- the bonds that differ between its ends, by distances, are those of the SMILES.

Barriers are compared with those of the set at its own structures: the labels of
``--data``, and the CCSD(T)-F12 barriers of the first set (zero-point corrected). A run
that was stopped goes on when it is started again.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from ase import Atoms
from rich.console import Console
from rich.table import Table

from ase_physml import PhysMLCalculator
from ase_physml.chem.atom_mapping import MappedReaction, read_reaction
from ase_physml.chem.bonds import bonded_pairs
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.index_split import Split
from ase_physml.workflows.alignment import rmsd
from ase_physml.workflows.conformers.embedding import ConformerSettings
from ase_physml.workflows.paths.neb import Search
from ase_physml.workflows.pathways.ends import align_mapped
from ase_physml.workflows.pathways.pathway import (
    Pathway,
    PathwaySettings,
    find_pathways,
)

NEAR = 0.5  # Å


@dataclass(frozen=True)
class Known:
    """A reaction of the set; barriers in eV."""

    name: str
    smiles: str
    saddle: Frame
    barrier: float
    label: float


@dataclass(frozen=True)
class Row:
    """Outcome of one reaction; distances in Å, energies in eV."""

    name: str
    smiles: str
    ccsd: float
    label: float
    failed: str | None = None
    barrier: float | None = None
    sigma: float | None = None
    converged: bool | None = None
    ends_rmsd: float | None = None
    saddle_rmsd: float | None = None
    same_bonds: bool | None = None

    @property
    def found(self) -> bool:
        """The known transition state."""
        near = self.saddle_rmsd is not None and self.saddle_rmsd < NEAR
        return near and bool(self.same_bonds)


def draw(
    reference: RaggedSet, data: RaggedSet, split: Split, count: int
) -> list[Known]:
    """Reactions of the test part, at random with a fixed seed."""
    names = texts(data.column("name"))
    place = {name: k for k, name in enumerate(names) if name}
    in_test = [names[k][:-2] for k in split.test if names[k].endswith("/r")]
    pool = sorted(name for name in in_test if f"{name}/ts" in place)
    drawn = np.random.default_rng(0).choice(len(pool), min(count, len(pool)), False)
    where = {name: k for k, name in enumerate(texts(reference.column("name")))}
    found = []
    for name in (pool[k] for k in sorted(drawn)):
        reactant, saddle = (reference[where[f"{name}/{role}"]] for role in ("r", "ts"))
        energies = [data[place[f"{name}/{role}"]].energy for role in ("r", "ts")]
        label = float(energies[1] or 0.0) - float(energies[0] or 0.0)
        barrier = float(saddle.energy or np.nan)
        found.append(Known(name, reactant.smiles or "", saddle, barrier, label))
    return found


def compare(known: Known, outcome: Pathway | Exception) -> Row:
    """A path with what is known."""
    row = Row(known.name, known.smiles, ccsd=known.barrier, label=known.label)
    if isinstance(outcome, Exception):
        return replace(row, failed=str(outcome))
    assert outcome.path is not None
    assert outcome.pair is not None
    path, reaction = outcome.path, read_reaction(known.smiles)
    return replace(
        row,
        barrier=path.barrier,
        sigma=path.barrier_std,
        converged=path.converged,
        ends_rmsd=outcome.pair[1].info["rmsd"],
        saddle_rmsd=off(reaction, path.images[path.saddle], known),
        same_bonds=changed(path.images) == expected(reaction),
    )


def off(reaction: MappedReaction, saddle: Atoms, known: Known) -> float:
    """RMSD from the known saddle, in the better hand where there is no other, Å."""
    hands = [1.0] if "@" in known.smiles else [1.0, -1.0]
    errors = []
    for hand in hands:
        truth = to_atoms(known.saddle, labels=False)
        truth.positions[:, 2] *= hand
        truth = align_mapped(reaction, saddle, truth)
        errors.append(rmsd(truth.positions, saddle.positions))
    return min(errors)


def changed(images: list[Atoms]) -> set[tuple[int, int]]:
    """Bonds that one end has and the other has not."""
    return bonded_pairs(images[0]) ^ bonded_pairs(images[-1])


def expected(reaction: MappedReaction) -> set[tuple[int, int]]:
    """The same of the SMILES."""
    return {*reaction.formed(), *reaction.reverse().formed()}


def texts(column: Iterable[bytes | str]) -> list[str]:
    """Names as the set stores them."""
    return [n.decode() if isinstance(n, bytes) else str(n) for n in column]


def report(rows: list[Row], seconds: float) -> None:
    table = Table("reaction", "found", "RMSD (Å)", "bonds", "ends (Å)", "converged")
    for column in ("barrier (eV)", "label", "CCSD(T)-F12"):
        table.add_column(column)
    for row in rows:
        if row.failed is not None:
            table.add_row(row.name, "failed", *[""] * 4, row.failed[:60], "", "")
            continue
        table.add_row(
            row.name,
            "yes" if row.found else "no",
            f"{row.saddle_rmsd:.2f}",
            "same" if row.same_bonds else "other",
            f"{row.ends_rmsd:.2f}",
            "yes" if row.converged else "no",
            f"{row.barrier:.2f} ± {row.sigma or 0.0:.2f}",
            f"{row.label:.2f}",
            f"{row.ccsd:.2f}",
        )
    Console(width=140).print(table)
    found = sum(row.found for row in rows)
    print(f"{found} of {len(rows)} known transition states found, {seconds:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reactions", type=Path, help="geometries and mapped SMILES")
    parser.add_argument("--data", type=Path, required=True, help="labelled, as split")
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--model", default="reactions.pt")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("-n", type=int, default=5, help="conformers of a side")
    parser.add_argument("--images", type=int, default=9)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("pathways"))
    options = parser.parse_args()
    split = Split.load(options.split)
    known = draw(
        RaggedSet(options.reactions), RaggedSet(options.data), split, options.count
    )
    search = Search(images=options.images, steps=options.steps, end_fmax=0.02)
    began = perf_counter()
    found = find_pathways(
        [one.smiles for one in known],
        PhysMLCalculator(options.model),
        PathwaySettings(ConformerSettings(options.n), search=search),
        folders=[options.out / one.name for one in known],
        resume=True,
        on_stage=lambda step: print(
            step, f"{perf_counter() - began:.0f} s", flush=True
        ),
    )
    rows = [compare(one, outcome) for one, outcome in zip(known, found, strict=True)]
    report(rows, perf_counter() - began)
    written = json.dumps([{**asdict(r), "found": r.found} for r in rows], indent=1)
    (options.out / "report.json").write_text(written + "\n")


if __name__ == "__main__":
    main()
