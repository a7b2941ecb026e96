"""Zero-point energies of the reactants and saddles of reactions.

    OMP_NUM_THREADS=1 python training/delta/zero_point.py rdb7_reactions.h5 \
        --calculator tblite:GFN2-xTB --every 3 --processes 2 --out zero_point.csv

Barriers are often published with them, and a potential has none. Harmonic, of Hessians
at the given structures by central differences, without translations, rotations and, of
a saddle, the lowest mode; imaginary ones count nothing. Run again, it goes on.
"""

import argparse
import csv
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from rich.progress import track

from ase_physml.calculators.names import make_calculator
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.groups import Reaction, reactions
from ase_physml.data.index_split import Split

# From sqrt(eV/Å^2/amu) to eV.
HBAR = units._hbar * 1e10 / np.sqrt(units._e * units._amu)
HEADER = ("name", "calculator", "zero_point_eV")


def zero_point(atoms: Atoms, step: float = 0.005) -> float:
    """Energy of half a quantum in each mode of vibration, eV; uses ``atoms.calc``."""
    omega2 = np.linalg.eigvalsh(vibrations(hessian(atoms, step), atoms))
    return float(0.5 * HBAR * np.sqrt(np.maximum(omega2, 0.0)).sum())


def hessian(atoms: Atoms, step: float) -> np.ndarray:
    """Second derivatives by central differences of forces, eV/Å^2."""
    probe = atoms.copy()
    probe.calc = atoms.calc
    rows = np.empty((3 * len(atoms), 3 * len(atoms)))
    for axis in range(len(rows)):
        sides = []
        for sign in (-1.0, 1.0):
            moved = atoms.positions.flatten()
            moved[axis] += sign * step
            probe.positions = moved.reshape(-1, 3)
            sides.append(probe.get_forces().ravel())
        rows[axis] = (sides[0] - sides[1]) / (2 * step)
    return 0.5 * (rows + rows.T)


def vibrations(hessian: np.ndarray, atoms: Atoms) -> np.ndarray:
    """Mass-weighted Hessian in the space of vibrations alone, eV/Å^2/amu."""
    masses = np.repeat(np.sqrt(atoms.get_masses()), 3)
    arms = atoms.positions - atoms.get_center_of_mass()
    axes = np.eye(3)
    outer = [np.tile(axis, (len(atoms), 1)) for axis in axes]
    outer += [np.cross(axis, arms) for axis in axes]
    rigid = np.array([motion.ravel() * masses for motion in outer]).T
    left, sizes, _ = np.linalg.svd(rigid, full_matrices=True)
    # Five motions of a linear molecule, six of others.
    basis = left[:, int((sizes > 1e-4 * sizes[0]).sum()) :]
    weighted: np.ndarray = basis.T @ (hessian / np.outer(masses, masses)) @ basis
    return weighted


@cache
def calculator_of(name: str) -> Calculator:
    """One a process."""
    return make_calculator(name)


def one(job: tuple[str, str, Atoms]) -> tuple[str, str, float]:
    """A row of the table; NaN where the calculator fails."""
    name, calculator, atoms = job
    atoms.calc = calculator_of(calculator)
    try:
        return name, calculator, zero_point(atoms)
    except Exception:
        return name, calculator, np.nan


def jobs(
    found: Iterable[Reaction], calculator: str, known: set[tuple[str, str]]
) -> Iterator[tuple[str, str, Atoms]]:
    """Reactants and saddles of reactions that are not known yet."""
    for reaction in found:
        for role, frame in (("r", reaction.reactant), ("ts", reaction.saddle)):
            name = f"{reaction.name}/{role}"
            if frame is not None and (name, calculator) not in known:
                yield name, calculator, to_atoms(frame, labels=False)


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a table, none if it is not there."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reactions", type=Path)
    parser.add_argument("--calculator", default="tblite:GFN2-xTB")
    parser.add_argument("--every", type=int, default=1, help="reaction")
    parser.add_argument("--split", type=Path, help="of reactions, by their reactants")
    parser.add_argument("--part", choices=("train", "val", "test"), default="test")
    parser.add_argument("--names", type=Path, help="JSON of reactions by their part")
    parser.add_argument("--count", type=int, help="of these, at most")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    known = {(row["name"], row["calculator"]) for row in read(options.out)}
    data = RaggedSet(options.reactions)
    found = list(reactions(data))
    if options.split is not None:
        part = set(getattr(Split.load(options.split), options.part).tolist())
        found = [r for r in found if r.index[0] in part]
    if options.names is not None:
        names = set(
            json.loads(options.names.read_text())[options.part][: options.count]
        )
        found = [r for r in found if r.name in names]
    todo = list(jobs(found[:: options.every], options.calculator, known))
    with (
        options.out.open("a", newline="") as file,
        ProcessPoolExecutor(options.processes) as pool,
    ):
        table = csv.writer(file)
        if not file.tell():
            table.writerow(HEADER)
        rows = pool.map(one, todo, chunksize=8)
        for name, calculator, energy in track(rows, "Hessians", total=len(todo)):
            table.writerow([name, calculator, f"{energy:.6f}"])
            file.flush()


if __name__ == "__main__":
    main()
