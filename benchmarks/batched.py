"""Time relaxations and paths in batches against ASE's own, one structure at a time.

    python benchmarks/batched.py --out benchmarks/results

`relax_many` against ASE's BFGS molecule by molecule; `BatchedNEB` against ASE's NEB
whose images have a calculator each; in one process, in turn, ASE's with the model in
torch and with native code. Stops if outcomes differ. Writes ``batched.json``.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from ase.mep import NEB
from ase.optimize import BFGS, FIRE
from structures import DATA

from ase_physml import BatchedNEB, PhysMLCalculator, relax_many
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet

Outcome = list[float]

METHYL = [6, 7, 8]  # hydrogens of ethanol on its atom 0


def molecules(count: int) -> list[Atoms]:
    """Rattled ones of 12 atoms or more, all sizes mixed, as in QM9."""
    data = RaggedSet(DATA)
    large = np.flatnonzero(data.n_atoms >= 12)
    frames = large[np.linspace(0, len(large) - 1, count).astype(int)]
    return [to_atoms(frame, labels=False) for frame in data.read(frames)]


def many(structures: list[Atoms], calculator: PhysMLCalculator) -> Outcome:
    """All at once."""
    found = relax_many(structures, calculator, fmax=0.05, steps=100)
    return [float("nan") if isinstance(f, Exception) else f.energies[-1] for f in found]


def one_by_one(structures: list[Atoms], calculator: PhysMLCalculator) -> Outcome:
    """Relaxations one by one, as people write them today."""
    energies = []
    for structure in structures:
        atoms = structure.copy()
        atoms.calc = calculator
        BFGS(atoms, logfile=None).run(fmax=0.05, steps=100)
        energies.append(atoms.get_potential_energy())
    return energies


def band(calculator: PhysMLCalculator, images: int, batched: bool) -> Outcome:
    """40 steps of a band along the torsion of ethanol's methyl group."""
    path = [molecule("CH3CH2OH") for _ in range(images)]
    turned = path[-1].copy()
    turned.rotate(
        90, turned.positions[1] - turned.positions[0], center=turned[0].position
    )
    path[-1].positions[METHYL] = turned.positions[METHYL]
    neb: NEB | BatchedNEB
    if batched:
        neb = BatchedNEB(path, calculator, climb=True)
    else:
        for image in path:
            image.calc = calculator.__copy__()
        neb = NEB(path, climb=True, method="improvedtangent")
    neb.interpolate()
    FIRE(neb, logfile=None).run(fmax=0.0, steps=40)
    energies = [image.get_potential_energy() for image in path]
    return [max(energies) - energies[0]]


def compare(calls: dict[str, Callable[[], Outcome]], rounds: int) -> dict[str, Any]:
    """Seconds of each, round by round, and by how much it beats the first.

    They must agree on the outcome.
    """
    # One thread is timed by its processor, whatever else runs on the machine.
    clock = process_time if torch.get_num_threads() == 1 else perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    outcomes: dict[str, Outcome] = {}
    for _ in range(rounds):
        for name, call in calls.items():
            start = clock()
            outcomes[name] = call()
            seconds[name].append(clock() - start)
    first, *others = calls
    for name in others:
        np.testing.assert_allclose(outcomes[first], outcomes[name], atol=1e-4)
    ratios = {
        name: median(a / b for a, b in zip(seconds[first], seconds[name], strict=True))
        for name in others
    }
    return {"seconds": seconds, "times faster than the first": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qm9.pt")
    parser.add_argument("--molecules", type=int, default=200)
    parser.add_argument("--images", type=int, default=9)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    by_torch = PhysMLCalculator(options.model, backend="torch")
    native = PhysMLCalculator(options.model, backend="native")
    structures = molecules(options.molecules)
    for calculator in (by_torch, native):
        many(structures[:20], calculator)  # warms up
    results = {
        "about": f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"{options.molecules} molecules, {options.images} images",
        "relaxations": compare(
            {
                "one by one, torch": lambda: one_by_one(structures, by_torch),
                "one by one": lambda: one_by_one(structures, native),
                "relax_many": lambda: many(structures, native),
            },
            options.rounds,
        ),
        "path": compare(
            {
                "ase.mep.NEB, torch": lambda: band(by_torch, options.images, False),
                "ase.mep.NEB": lambda: band(native, options.images, False),
                "BatchedNEB": lambda: band(native, options.images, True),
            },
            options.rounds,
        ),
    }
    print(json.dumps(results, indent=1))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "batched.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
