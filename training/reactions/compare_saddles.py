"""Saddles by ASE's band and dimer, and by Sella, from the starts that ours have.

    python training/reactions/compare_saddles.py rdb7_reactions.h5 --count 12 \
        --model reactions.pt --ours training/reactions/results/saddles.json \
        --out training/reactions/results/saddles_others.json

Of the reactions of `evaluate_saddles.py`, with the same relaxed ends and the same IDPP
start of as many images: a climbing band of ASE's (FIRE), its highest image on to the
saddle by ASE's dimer method, and by Sella (Hermes et al., J. Chem. Theory Comput. 18,
6974, 2022) where that is installed. What they find is judged as ours is: second
derivatives, and the steepest descent both ways. Counted are energies and forces until
the saddle, ends and certificate apart.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.mep import DimerControl, MinModeAtoms, MinModeTranslate
from ase.optimize import FIRE
from evaluate_saddles import Counter, known_reactions

from ase_physml import find_saddles, relax_many
from ase_physml.calculators.names import as_calculator
from ase_physml.data.dataset import RaggedSet
from ase_physml.workflows.alignment import rmsd
from ase_physml.workflows.paths.band import BatchedNEB
from ase_physml.workflows.paths.interpolation import images_between
from ase_physml.workflows.saddles.search import Guess, Saddle

FMAX = 0.01  # eV/Å, of a saddle


@dataclass(frozen=True)
class Row:
    """Outcome of one method on one reaction."""

    name: str
    method: str
    grade: str
    joins: bool
    reason: str
    evaluations: int
    apart: float | None


def band(ends: tuple[Atoms, Atoms], calculator: Calculator, steps: int) -> list[Atoms]:
    """Images of ASE's climbing band after some steps."""
    images = images_between(ends, 9)
    found = BatchedNEB(images, calculator, remove_rotation_and_translation=True)
    FIRE(found, logfile=None).run(fmax=0.5, steps=steps // 2)
    found.climb = True
    FIRE(found, logfile=None).run(fmax=0.1, steps=steps // 2)
    return images


def dimer(top: Atoms, along: np.ndarray, steps: int) -> Atoms:
    """Saddle by ASE's dimer."""
    control = DimerControl(
        initial_eigenmode_method="displacement",
        displacement_method="vector",
        logfile=None,
        eigenmode_logfile=None,
    )
    walker = MinModeAtoms(top, control)
    walker.displace(displacement_vector=0.01 * along, log=False)
    with MinModeTranslate(walker, logfile=None) as driver:
        driver.run(fmax=FMAX, steps=steps)
    return top


def sella(top: Atoms, _: np.ndarray, steps: int) -> Atoms:
    """Saddle by Sella, in internal coordinates."""
    from sella import Sella

    with Sella(top, internal=True, logfile=None) as driver:
        driver.run(fmax=FMAX, steps=steps)
    return top


METHODS: dict[str, Callable[[Atoms, np.ndarray, int], Atoms]] = {
    "ASE's band and dimer": dimer,
    "ASE's band and Sella": sella,
}


def search(
    known: Any, ends: tuple[Atoms, Atoms], model: str, method: str, steps: int
) -> Row:
    """Row of one method on one reaction."""
    calculator = as_calculator(model)
    counter = Counter(calculator)
    try:
        images = band(ends, calculator, steps)
        energies = [image.get_potential_energy() for image in images]
        k = 1 + int(np.argmax(energies[1:-1]))
        along = images[k + 1].positions - images[k - 1].positions
        top = images[k].copy()
        top.calc = calculator
        top = METHODS[method](top, along / np.linalg.norm(along), steps)
    except ImportError:
        raise
    except Exception as error:
        return Row(known.name, method, "FAIL", False, str(error), counter.count, None)
    spent = counter.count
    # No step of ours: it is a saddle where it is, or none.
    (found,) = find_saddles([Guess(top.copy(), None, ends)], calculator)
    if not isinstance(found, Saddle):
        return Row(known.name, method, "FAIL", False, str(found), spent, None)
    moved = rmsd(found.atoms.positions, top.positions)
    if moved > 0.05:
        reason = f"no saddle there: the nearest is {moved:.2f} Å away"
        return Row(known.name, method, "FAIL", False, reason, spent, None)
    apart = rmsd(top.positions, known.saddle.positions)
    said = found.certificate
    return Row(known.name, method, said.grade, said.joins, said.reason, spent, apart)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reactions", type=Path, help="known structures")
    parser.add_argument(
        "--names", type=Path, default=Path(__file__).parent / "splits/saddles.json"
    )
    parser.add_argument("--part", choices=("development", "test"), default="test")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--model", default="reactions.pt")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--steps", type=int, default=240, help="of band and saddle")
    parser.add_argument("--out", type=Path, default=Path("saddles_others.json"))
    options = parser.parse_args()
    names = json.loads(options.names.read_text())[options.part][: options.count]
    known = known_reactions(RaggedSet(options.reactions), names)
    flat = [end for one in known for end in one.ends or ()]
    relaxed = iter(relax_many(flat, options.model, fmax=0.01))
    rows: list[Row] = []
    if options.out.is_file():
        rows = [Row(**one) for one in json.loads(options.out.read_text())["rows"]]
    for one in known:
        pair = next(relaxed), next(relaxed)
        if any(isinstance(end, Exception) for end in pair):
            continue
        ends = pair[0].atoms, pair[1].atoms  # type: ignore[union-attr]
        for method in options.methods:
            if any(row.name == one.name and row.method == method for row in rows):
                continue
            rows.append(search(one, ends, options.model, method, options.steps))
            content = {"model": options.model, "rows": [asdict(row) for row in rows]}
            options.out.write_text(json.dumps(content, indent=1) + "\n")
            print(asdict(rows[-1]), flush=True)


if __name__ == "__main__":
    main()
