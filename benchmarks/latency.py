"""Time of a call on a CPU as users make it: native code, torch, GFN2-xTB, in turn.

    OMP_NUM_THREADS=1 python benchmarks/latency.py --out benchmarks/results

Energy and forces of molecules that move a little between calls, each calculator in
turn; batches, relaxations, the first result of a fresh process, and the building of
native code where only its sources are. Medians, and the median of the ratios of calls
that follow each other: machines are noisy, read the ratios. Writes ``latency.json``.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from structures import small_molecules

from ase_physml import PhysMLCalculator, relax_many
from ase_physml.calculators.names import make_calculator
from ase_physml.native.build import build
from ase_physml.workflows.inputs import from_smiles

BASELINE = "tblite:GFN2-xTB"
# Of 20, 52 and 101 atoms.
MOLECULES = (
    "CC(C)CC(=O)OC",
    "CCOC(=O)c1ccc(NC(=O)CCCC2CCOCC2)cc1CO",
    "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC",
)
FIRST = (
    "from ase.build import molecule; from ase_physml import PhysMLCalculator; "
    "atoms = molecule('CH3CH2OH'); atoms.calc = PhysMLCalculator({model!r}, "
    "backend={backend!r}); atoms.get_forces()"
)


def compare(
    calls: dict[str, Callable[[], Any]], rounds: int, warm_up: int = 2
) -> dict[str, Any]:
    """Milliseconds of each call, and the first one's as a part of each other's."""
    # One thread is timed by its processor, whatever else runs on the machine.
    clock = process_time if torch.get_num_threads() == 1 else perf_counter
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + warm_up):
        for name, call in calls.items():
            began = clock()
            call()
            times[name].append(1e3 * (clock() - began))
    measured = {name: np.array(values[warm_up:]) for name, values in times.items()}
    first = measured[next(iter(calls))]
    return {
        "rounds": rounds,
        "ms": {name: float(np.median(values)) for name, values in measured.items()},
        "least_ms": {name: float(values.min()) for name, values in measured.items()},
        "first_of": {
            name: float(np.median(first / values)) for name, values in measured.items()
        },
    }


def single(smiles: str, model: str, rounds: int) -> dict[str, Any]:
    """One molecule: default, float32, torch, and the baseline."""
    atoms = from_smiles(smiles)
    calculators = {
        "native": PhysMLCalculator(model, device="cpu"),
        "native float32": PhysMLCalculator(model, device="cpu", dtype="float32"),
        "torch": PhysMLCalculator(model, device="cpu", backend="torch"),
        BASELINE: make_calculator(BASELINE),
    }

    def call(name: str) -> Callable[[], Any]:
        def moved() -> None:
            atoms.positions += 1e-3 * np.sin(atoms.positions)
            calculators[name].get_property("forces", atoms)

        return moved

    found = compare({name: call(name) for name in calculators}, rounds)
    return {"atoms": len(atoms), **found}


def many(model: str, rounds: int, count: int) -> dict[str, Any]:
    """A batch of molecules of 18 atoms."""
    structures = small_molecules(count, 18)
    native = PhysMLCalculator(model, device="cpu")
    by_torch = PhysMLCalculator(model, device="cpu", backend="torch")
    return compare(
        {
            "native": lambda: native.calculate_many(structures),
            "torch": lambda: by_torch.calculate_many(structures),
        },
        rounds,
    )


def relaxations(model: str, rounds: int, count: int) -> dict[str, Any]:
    """`relax_many`."""
    structures = small_molecules(count)

    def call(backend: Any) -> Callable[[], Any]:
        calculator = PhysMLCalculator(model, device="cpu", backend=backend)
        return lambda: relax_many(structures, calculator, fmax=0.05, steps=100)

    return compare({"native": call("native"), "torch": call("torch")}, rounds, 0)


def first_results(model: str) -> dict[str, dict[str, float]]:
    """Seconds of a fresh process and of a processor, imports included."""
    found = {}
    # Native code is built before, or found built, as in an installed package.
    PhysMLCalculator(model, device="cpu", backend="native")
    for backend in ("native", "torch"):
        code = FIRST.format(model=model, backend=backend)
        command = [sys.executable, "-W", "ignore", "-c", code]
        found[backend] = timed(lambda: subprocess.run(command, check=True))  # noqa: B023
    with TemporaryDirectory() as folder:
        found["building native code"] = timed(lambda: build(Path(folder)))
    return found


def timed(call: Callable[[], Any]) -> dict[str, float]:
    """Seconds of a call that starts processes, and of a processor in them."""
    before, began = os.times(), perf_counter()
    call()
    seconds, after = perf_counter() - began, os.times()
    user = after.children_user - before.children_user
    system = after.children_system - before.children_system
    return {"seconds": seconds, "of a processor": user + system}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="qm9.pt")
    parser.add_argument("--molecules", nargs="+", default=MOLECULES)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--relaxed", type=int, default=50)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rounds = options.rounds
    found = {
        "about": f"{options.model}, torch {torch.__version__}",
        "threads": torch.get_num_threads(),
        "first result": first_results(options.model),
        "single": [single(one, options.model, rounds) for one in options.molecules],
        "batch": many(options.model, max(1, rounds // 3), options.batch),
        "relax_many": relaxations(options.model, max(1, rounds // 8), options.relaxed),
    }
    text = json.dumps(found, indent=1)
    print(text)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "latency.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
