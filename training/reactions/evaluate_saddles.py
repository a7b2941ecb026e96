"""Certified saddles: how many, how near to the known ones, at what cost.

    python training/reactions/evaluate_saddles.py rdb7_reactions.h5 \
        --models reactions.pt reactions_delta.pt tblite:GFN2-xTB --count 48 \
        --out training/reactions/results/saddles.json
    python training/reactions/evaluate_saddles.py rdb7_reactions.h5 --smiles \
        --models reactions.pt --count 20 \
        --out training/reactions/results/saddles_smiles.json
    python training/reactions/evaluate_saddles.py --textbook --out textbook.json

Known reactants and products of reactions that no potential has seen
(`splits/saddles.json`) are relaxed with each calculator, and `find_paths` goes on from
their bands to saddles; with ``--smiles``, from their SMILES alone; with ``--textbook``,
reactions that are in every book, from their SMILES.

Each reaction is searched with a few others, and written down at once: a run that was
stopped goes on. `report_saddles.py` makes tables of the results.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from draw_reactions import text
from textbook import TEXTBOOK

from ase_physml import PathwaySettings, Search, find_paths, find_pathways
from ase_physml.calculators.names import as_calculator
from ase_physml.chem.atom_mapping import read_reaction
from ase_physml.chem.bonds import bonded_pairs
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.errors import DataError
from ase_physml.workflows.alignment import rmsd
from ase_physml.workflows.paths.reaction_path import ReactionPath
from ase_physml.workflows.pathways.ends import align_mapped
from ase_physml.workflows.pathways.pathway import Pathway

MODELS = ["tblite:GFN2-xTB", "reactions.pt", "reactions_delta.pt"]
LABELS = "tblite:GFN2-xTB"  # what `reactions.pt` was fitted to


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
    """Outcome of one reaction with one calculator; eV, Å.

    Attributes:
        reference: Known barrier.
        grade: Grade of the certificate.
        joins: Whether the saddle joins reactant and product, or conformers of them.
        connected: Whether it joins the ends as given: conformers turn into them below.
        steps: Number of steps of a path.
        apart: RMSD to the known saddle.
        labels: Barrier of `LABELS` at the same structures.
        ends: Whether the bonds that change are those of the SMILES.
        evaluations: Energies and forces that were computed, relaxed ends and all.
        cpu: Seconds of a core.
    """

    name: str
    model: str
    reference: float
    grade: str = "FAIL"
    joins: bool = False
    connected: bool = False
    reason: str = ""
    steps: int = 1
    barrier: float | None = None
    back: float | None = None
    sigma: float | None = None
    apart: float | None = None
    labels: float | None = None
    ends: bool | None = None
    evaluations: float = 0.0
    cpu: float = 0.0
    seconds: float = 0.0


class Counter:
    """Count of the structures that a calculator computes."""

    def __init__(self, calculator: Calculator) -> None:
        self.count = 0
        self._inside = False
        for name in ("calculate_many", "calculate"):
            if hasattr(calculator, name):
                setattr(calculator, name, self._counted(getattr(calculator, name)))

    def _counted(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        def counted(structures: Any = None, *others: Any, **options: Any) -> Any:
            if self._inside:  # one of both calls the other
                return compute(structures, *others, **options)
            single = structures is None or isinstance(structures, Atoms)
            self.count += 1 if single else len(structures)
            self._inside = True
            try:
                return compute(structures, *others, **options)
            finally:
                self._inside = False

        return counted


def known_reactions(reference: RaggedSet, names: Sequence[str]) -> list[Known]:
    """Reactions of a set by their names."""
    where = {text(name): k for k, name in enumerate(reference.column("name"))}
    found = []
    for name in names:
        frames = [reference[where[f"{name}/{role}"]] for role in ("r", "ts", "p")]
        first, saddle, last = (to_atoms(one, labels=False) for one in frames)
        barrier, smiles = float(frames[1].energy or np.nan), frames[0].smiles or ""
        found.append(Known(name, barrier, (first, last), saddle, smiles))
    return found


def search(
    known: Sequence[Known], calculator: Calculator, from_smiles: bool, options: Any
) -> list[ReactionPath | Exception]:
    """Paths of reactions, from their ends or from their SMILES."""
    settings = Search(fmax=options.fmax, steps=options.steps, end_fmax=0.01)
    if not from_smiles:
        pairs = [one.ends for one in known if one.ends is not None]
        return find_paths(pairs, calculator, settings)
    found = find_pathways(
        [one.smiles for one in known], calculator, PathwaySettings(search=settings)
    )
    paths = [one.path if isinstance(one, Pathway) else one for one in found]
    return [one or DataError("no path") for one in paths]


def compare(
    known: Known, model: str, path: ReactionPath | Exception, from_smiles: bool
) -> Row:
    """A path beside what is known."""
    row = Row(known.name, model, known.barrier)
    if not isinstance(path, ReactionPath):
        return replace(row, reason=str(path))
    ends = None
    if from_smiles:
        reaction = read_reaction(known.smiles)
        changed = bonded_pairs(path.images[0]) ^ bonded_pairs(path.images[-1])
        ends = changed == {*reaction.formed(), *reaction.reverse().formed()}
    row = replace(row, grade=path.grade, reason=path.verdict, ends=ends)
    if not path.sound:
        return row
    return replace(
        row,
        joins=True,
        connected=bool(path.certificate and path.certificate.connected),
        steps=max(1, len(path.parts)),
        barrier=path.barrier,
        back=path.barrier_back,
        sigma=path.barrier_std,
        apart=_apart(known, path.transition_state, from_smiles),
        labels=_labels(path) if model != LABELS else None,
    )


def _apart(known: Known, saddle: Atoms, from_smiles: bool) -> float | None:
    """RMSD to the known saddle; of SMILES in the better hand, hydrogens exchanged."""
    if known.saddle is None:
        return None
    if not from_smiles:
        return rmsd(saddle.positions, known.saddle.positions)
    found = []
    for hand in [1.0] if "@" in known.smiles else [1.0, -1.0]:
        truth = known.saddle.copy()
        truth.positions[:, 2] *= hand
        truth = align_mapped(read_reaction(known.smiles), saddle, truth)
        found.append(rmsd(truth.positions, saddle.positions))
    return min(found)


def _labels(path: ReactionPath) -> float | None:
    calculator = as_calculator(LABELS)
    energies = []
    for one in (path.images[0], path.transition_state):
        atoms = one.copy()
        atoms.calc = calculator
        energies.append(float(atoms.get_potential_energy()))
    return energies[1] - energies[0]


def run(
    known: Sequence[Known], model: str, from_smiles: bool, options: Any
) -> Iterator[Row]:
    """Rows of reactions, a few at a time."""
    for start in range(0, len(known), options.together):
        some = known[start : start + options.together]
        calculator = as_calculator(model)
        counter = Counter(calculator)
        began, wall = process_time(), perf_counter()
        paths = search(some, calculator, from_smiles, options)
        cpu, seconds = process_time() - began, perf_counter() - wall
        for one, path in zip(some, paths, strict=True):
            yield replace(
                compare(one, model, path, from_smiles),
                evaluations=counter.count / len(some),
                cpu=cpu / len(some),
                seconds=seconds / len(some),
            )


def load(path: Path) -> list[Row]:
    """Rows of an earlier run, none where there is no file."""
    if not path.is_file():
        return []
    names = {field.name for field in fields(Row)}
    stored = json.loads(path.read_text())["rows"]
    return [Row(**{k: v for k, v in one.items() if k in names}) for one in stored]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reactions", type=Path, nargs="?", help="known structures")
    parser.add_argument(
        "--names", type=Path, default=Path(__file__).parent / "splits/saddles.json"
    )
    parser.add_argument("--part", choices=("development", "test"), default="test")
    parser.add_argument("--textbook", action="store_true")
    parser.add_argument("--smiles", action="store_true", help="from these alone")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--skip", type=int, default=0, help="of these, the first")
    parser.add_argument("--together", type=int, default=8, help="reactions at a time")
    parser.add_argument("--fmax", type=float, default=0.1, help="of a band, eV/Å")
    parser.add_argument("--steps", type=int, default=240, help="of a band")
    parser.add_argument("--out", type=Path, default=Path("saddles.json"))
    options = parser.parse_args()
    if options.textbook:
        known = [Known(n, b, smiles=s) for n, (s, b) in TEXTBOOK.items()]
    else:
        names = json.loads(options.names.read_text())[options.part]
        names = names[options.skip : options.count]
        known = known_reactions(RaggedSet(options.reactions), names)
    from_smiles = options.textbook or options.smiles
    rows = load(options.out)
    for model in options.models:
        done = {row.name for row in rows if row.model == model}
        left = [one for one in known if one.name not in done]
        for row in run(left, model, from_smiles, options):
            rows.append(row)
            content = {"rows": [asdict(one) for one in rows]}
            options.out.write_text(json.dumps(content, indent=1) + "\n")
            print(model, row.name, row.grade, row.reason, flush=True)


if __name__ == "__main__":
    main()
