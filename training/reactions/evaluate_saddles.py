"""Certified saddles: how many, how near to the known ones, at what cost.

    python training/reactions/evaluate_saddles.py rdb7_reactions.h5 \
        --data reactions.h5 --split training/reactions/splits/reactions.json \
        --count 12 --models tblite:GFN2-xTB reactions.pt reactions_delta.pt
    python training/reactions/evaluate_saddles.py --textbook --out textbook.json

Of the reactions whose reactant is in the test part of the split, some are drawn; their
known reactants and products are relaxed with each calculator, and `find_paths` goes on
from their bands to saddles. Counted are saddles that join the given ends (PASS, and
WARN where only conformers differ), their RMSD to the known saddle, and barriers beside
those of CCSD(T)-F12, whose zero-point energies are taken off by GFN2-xTB's.

With ``--textbook``, eight reactions that are in every book, from their SMILES alone.
With ``--sella``, Sella (if it is installed) searches from the same guesses.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from ase import Atoms
from rich.console import Console
from rich.table import Table

from ase_physml import Search, find_paths, find_pathways
from ase_physml.calculators.names import as_calculator
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.workflows.alignment import rmsd
from ase_physml.workflows.paths.certified import guess_of
from ase_physml.workflows.paths.reaction_path import ReactionPath
from ase_physml.workflows.pathways.pathway import Pathway

MODELS = ["tblite:GFN2-xTB", "reactions.pt", "reactions_delta.pt"]

# Barriers in eV, of experiments (activation energies) or of coupled clusters.
TEXTBOOK = {
    "malonaldehyde, H transfer": (
        r"[O:1]=[CH:2]/[CH:3]=[CH:4]\[OH:5]>>[OH:1]/[CH:2]=[CH:3]\[CH:4]=[O:5]", 0.17,
    ),
    "HCN to HNC": ("[CH:1]#[N:2]>>[C-:1]#[NH+:2]", 2.1),
    "vinyl alcohol to acetaldehyde": (
        "[CH2:1]=[CH:2][OH:3]>>[CH3:1][CH:2]=[O:3]", 2.43,
    ),
    "Diels-Alder, butadiene and ethene": (
        "[CH2:1]=[CH:2][CH:3]=[CH2:4].[CH2:5]=[CH2:6]>>"
        "[CH2:1]1[CH:2]=[CH:3][CH2:4][CH2:5][CH2:6]1", 1.0,
    ),
    "cyclobutene to butadiene": (
        "[CH2:1]1[CH2:4][CH:3]=[CH:2]1>>[CH2:1]=[CH:2][CH:3]=[CH2:4]", 1.43,
    ),
    "Claisen, allyl vinyl ether": (
        "[CH2:1]=[CH:2][O:3][CH2:4][CH:5]=[CH2:6]>>"
        "[CH2:1]([CH:2]=[O:3])[CH2:6][CH:5]=[CH2:4]", 1.33,
    ),
    "methyl isocyanide to acetonitrile": (
        "[CH3:1][N+:2]#[C-:3]>>[CH3:1][C:3]#[N:2]", 1.67,
    ),
    "formaldehyde to H2 and CO": (
        "[O:1]=[C:2]([H:3])[H:4]>>[O+:1]#[C-:2].[H:3][H:4]", 3.5,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A reaction: its ends and saddle, or its SMILES; the barrier in eV."""

    name: str
    barrier: float
    ends: tuple[Atoms, Atoms] | None = None
    saddle: Atoms | None = None
    smiles: str = ""


@dataclass(frozen=True)
class Row:
    """Outcome of one reaction with one calculator; eV, Å."""

    name: str
    model: str
    reference: float
    grade: str = "FAIL"
    reason: str = ""
    steps: int = 1
    barrier: float | None = None
    back: float | None = None
    sigma: float | None = None
    zero_point: float | None = None
    apart: float | None = None
    evaluations: int | None = None
    sella: str = ""


def draw(
    reference: RaggedSet, data: RaggedSet, split: Split, count: int
) -> list[Known]:
    """Reactions of the test part, at random with a fixed seed."""
    names = texts(data)
    in_test = {names[k][:-2] for k in split.test if names[k].endswith("/r")}
    where = {name: k for k, name in enumerate(texts(reference))}
    pool = sorted(name for name in in_test if f"{name}/ts" in where)
    drawn = np.random.default_rng(0).choice(len(pool), min(count, len(pool)), False)
    found = []
    for name in (pool[k] for k in sorted(drawn)):
        frames = [reference[where[f"{name}/{role}"]] for role in ("r", "ts", "p")]
        first, saddle, last = (to_atoms(one, labels=False) for one in frames)
        barrier = float(frames[1].energy or np.nan)
        found.append(Known(name, barrier, (first, last), saddle))
    return found


def texts(data: RaggedSet) -> list[str]:
    """Names as a set stores them."""
    return [n.decode() if isinstance(n, bytes) else str(n) for n in data.column("name")]


def search(known: Sequence[Known], model: str, fmax: float, zero_point: bool) -> Any:
    """Paths of reactions, from their ends or from their SMILES."""
    settings = Search(fmax=fmax, steps=240, end_fmax=0.02, zero_point=zero_point)
    calculator = as_calculator(model)
    if known[0].ends is not None:
        pairs = [one.ends for one in known if one.ends is not None]
        return find_paths(pairs, calculator, settings)
    found = find_pathways([one.smiles for one in known], calculator)
    return [one.path if isinstance(one, Pathway) else one for one in found]


def compare(known: Known, model: str, path: ReactionPath | Exception) -> Row:
    """A path beside what is known."""
    row = Row(known.name, model, known.barrier)
    if not isinstance(path, ReactionPath):
        return replace(row, reason=str(path))
    apart = None
    if known.saddle is not None and path.sound:
        apart = rmsd(path.transition_state.positions, known.saddle.positions)
    shift = path.top.zero_point if path.top is not None else None
    return replace(
        row,
        grade=path.grade,
        reason=path.verdict,
        steps=max(1, len(path.parts)),
        barrier=path.barrier if path.sound else None,
        back=path.barrier_back if path.sound else None,
        sigma=path.barrier_std,
        zero_point=None if shift is None else shift[0],
        apart=apart,
        evaluations=None if path.top is None else path.top.evaluations,
    )


def by_sella(path: ReactionPath | Exception, model: str) -> str:
    """What Sella finds from the same guess: forces left, evaluations, distance."""
    from sella import Sella

    if not isinstance(path, ReactionPath) or path.top is None:
        return ""
    atoms = guess_of(path).atoms.copy()
    atoms.calc = as_calculator(model)
    calls = [0]
    compute = atoms.calc.calculate

    def counted(*arguments: Any, **options: Any) -> None:
        calls[0] += 1
        compute(*arguments, **options)

    atoms.calc.calculate = counted
    with Sella(atoms, internal=True, logfile=None) as driver:
        converged = driver.run(fmax=0.01, steps=120)
    apart = rmsd(atoms.positions, path.top.atoms.positions)
    return f"{'yes' if converged else 'no'}, {calls[0]} calls, {apart:.2f} Å apart"


def report(rows: Sequence[Row], corrections: dict[str, float]) -> None:
    """Print a table, and per calculator how many, how near and how far off."""
    table = Table("reaction", "calculator", "verdict", "barrier", "reference", "reason")
    for row in rows:
        barrier = "" if row.barrier is None else f"{row.barrier:.2f}"
        barrier += "" if row.sigma is None else f" ± {row.sigma:.2f}"
        table.add_row(
            row.name, row.model, row.grade, barrier, f"{row.reference:.2f}", row.reason
        )
    Console(width=160).print(table)
    for model in dict.fromkeys(row.model for row in rows):
        own = [row for row in rows if row.model == model]
        single = [row for row in own if row.barrier is not None and row.steps == 1]
        both = sum(row.barrier is not None and row.steps > 1 for row in own)
        errors = [
            abs((row.barrier or 0.0) + corrections.get(row.name, 0.0) - row.reference)
            for row in single
        ]
        near = [row.apart for row in single if row.apart is not None]
        passed = sum(row.grade == "PASS" for row in single)
        print(
            f"{model}: {len(single)} of {len(own)} joined by a certified saddle "
            f"({passed} PASS), {both} in two steps; "
            f"median RMSD {np.median(near) if near else np.nan:.2f} Å, mean barrier "
            f"error {np.mean(errors) if errors else np.nan:.2f} eV"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reactions", type=Path, nargs="?", help="known structures")
    parser.add_argument("--data", type=Path, help="labelled, as split")
    parser.add_argument("--split", type=Path)
    parser.add_argument("--textbook", action="store_true")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--fmax", type=float, default=0.1, help="of a band, eV/Å")
    parser.add_argument("--sella", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("saddles.json"))
    options = parser.parse_args()
    if options.textbook:
        known = [Known(n, b, smiles=s) for n, (s, b) in TEXTBOOK.items()]
    else:
        split, data = Split.load(options.split), RaggedSet(options.data)
        known = draw(RaggedSet(options.reactions), data, split, options.count)
    rows: list[Row] = []
    seconds: dict[str, float] = {}
    corrections: dict[str, float] = {}
    for model in options.models:
        began = process_time()
        zero_point = model.startswith("tblite") and not options.textbook
        paths = search(known, model, options.fmax, zero_point)
        seconds[model] = process_time() - began
        for one, path in zip(known, paths, strict=True):
            row = compare(one, model, path)
            if row.zero_point is not None:
                corrections.setdefault(one.name, row.zero_point)
            if options.sella:
                row = replace(row, sella=by_sella(path, model))
            rows.append(row)
        content = {"seconds_of_a_core": seconds, "rows": [asdict(r) for r in rows]}
        options.out.write_text(json.dumps(content, indent=1) + "\n")
    if corrections:
        mean = float(np.mean(list(corrections.values())))
        corrections = {one.name: corrections.get(one.name, mean) for one in known}
    report(rows, corrections)
    print({model: f"{spent:.0f} s of a core" for model, spent in seconds.items()})


if __name__ == "__main__":
    main()
