"""Time energies and forces, dynamics, relaxations and paths, beside peers.

    pip install tblite torchani mace-torch
    pip install torch_geometric warp-lang && pip install --no-deps torchmd-net==3.1.0
    python benchmarks/speed.py --out benchmarks/results

Everything runs in one process, in turn, round by round; peers that are not installed
are left out. Figures are medians; ratios are taken round by round. Writes
``speed.json``, ``speed.md`` and ``speed.png``. `training_step.py` times training.
"""

import argparse
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from ase import Atoms, units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from ase.mep import NEB
from ase.optimize import BFGS, FIRE
from candidates import CANDIDATES, Evaluate, available
from machine import Machine, count
from report import write
from structures import alkane, nanodiamond, small_molecules

from ase_physml import PhysMLCalculator
from ase_physml.calculators.names import make_calculator

SIZES = (9, 20, 50, 100, 300, 1000)
BATCHES = (1, 8, 64, 512, 4096)
SHAPES = {"chain": alkane, "diamond": nanodiamond}
# What one call may take before larger systems of its kind are left out.
PATIENCE = 20.0

Times = dict[str, list[float]]


def in_turn(calls: dict[str, Callable[[], Any]], rounds: int) -> Times:
    """Seconds of every call, one after the other, ``rounds`` times."""
    times: Times = {name: [] for name in calls}
    for name, call in calls.items():  # the first call does not count, unless it is long
        start = perf_counter()
        call()
        if perf_counter() - start > PATIENCE / 2:
            times[name].append(perf_counter() - start)
    again = {name: call for name, call in calls.items() if not times[name]}
    for _ in range(rounds):
        for name, call in again.items():
            start = perf_counter()
            call()
            times[name].append(perf_counter() - start)
    return times


def single(
    candidates: dict[str, Evaluate], shape: str, sizes: Sequence[int], rounds: int
) -> dict[str, Any]:
    """One molecule of each size."""
    results: dict[str, Any] = {}
    slow: set[str] = set()
    for size in sizes:
        if shape == "diamond" and size < 100:
            continue
        atoms = SHAPES[shape](size)
        calls = {n: _call(e, [atoms]) for n, e in candidates.items() if n not in slow}
        times = in_turn(calls, max(3, rounds * 20 // size))
        slow |= {name for name, taken in times.items() if median(taken) > PATIENCE / 10}
        # Compiled code hides its operations, and tblite is not torch's.
        hidden = {n for n in calls if n.endswith("compiled")} | {"GFN2-xTB"}
        work = {n: asdict(count(c)) for n, c in calls.items() if n not in hidden}
        results[str(len(atoms))] = {"seconds": times, "work": work}
        _say(f"{shape} of {len(atoms)}", times, 1)
    return results


def batches(
    candidates: dict[str, Evaluate], counts: Sequence[int], rounds: int
) -> dict[str, Any]:
    """Batches of small molecules."""
    results: dict[str, Any] = {}
    slow: set[str] = set()
    for size in counts:
        structures = small_molecules(size, n_atoms=18)
        calls = {
            n: _call(e, structures) for n, e in candidates.items() if n not in slow
        }
        times = in_turn(calls, max(3, rounds * 8 // size))
        slow |= {name for name, taken in times.items() if median(taken) > PATIENCE / 8}
        results[str(size)] = {"seconds": times}
        _say(f"batch of {size}", times, size)
    return results


def _call(evaluate: Evaluate, structures: Sequence[Atoms]) -> Callable[[], Any]:
    return lambda: evaluate(structures)


def tasks(rounds: int, device: str) -> dict[str, Any]:
    """Tasks of users: dynamics, relaxations and a path, by ASE's own algorithms."""
    results: dict[str, Any] = {}
    fast = PhysMLCalculator("qm9.pt", device=device, dtype="float32", compiled=True)
    calculators = {
        "qm9.pt": PhysMLCalculator("qm9.pt", device=device),
        "qm9.pt float32 compiled": fast,
        "GFN2-xTB": make_calculator("tblite:GFN2-xTB"),
    }
    for task in (dynamics, relaxations, path):
        calls = {name: task(calculator) for name, calculator in calculators.items()}
        times = in_turn(calls, max(2, rounds // 4))
        results[task.__name__] = {"seconds": times}
        _say(task.__name__, times, 1)
    return results


def dynamics(calculator: Any) -> Callable[[], Any]:
    """100 steps of 0.5 fs of a 20-atom molecule at 300 K."""

    def run() -> None:
        atoms = alkane(20)
        atoms.calc = calculator
        random = np.random.default_rng(0)
        MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=random)
        VelocityVerlet(atoms, 0.5 * units.fs).run(100)

    return run


def relaxations(calculator: Any) -> Callable[[], Any]:
    """10 molecules, displaced by 0.1 Å, 30 BFGS steps each."""

    def run() -> None:
        for atoms in small_molecules(10, n_atoms=18):
            atoms.rattle(0.1, seed=0)
            atoms.calc = calculator
            BFGS(atoms, logfile=None).run(fmax=0.0, steps=30)

    return run


def path(calculator: Any) -> Callable[[], Any]:
    """20 steps of a 9-image NEB between two rattled forms of a 20-atom molecule."""

    def run() -> None:
        images = [alkane(20) for _ in range(9)]
        images[-1].rattle(0.1, seed=0)
        for image in images:
            image.calc = calculator
        band = NEB(images, allow_shared_calculator=True)
        band.interpolate()
        FIRE(band, logfile=None).run(fmax=0.0, steps=20)

    return run


def memory(name: str, structure: str) -> int:
    """Peak bytes that evaluating adds, measured in a process of its own."""
    command = [sys.executable, __file__, "--peak", name, structure]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    return int(lines[-1]) if done.returncode == 0 else -1


def peak(name: str, structure: str) -> None:
    """The process of `memory`."""
    evaluate = available([name], "cpu")[name]
    evaluate(small_molecules(1, 18))
    shape, _, size = structure.partition(":")
    many = shape == "batch"
    work = small_molecules(int(size), 18) if many else [SHAPES[shape](int(size))]
    before = _highest()
    evaluate(work)
    print(_highest() - before)


def _highest() -> int:
    """Bytes; not ``ru_maxrss``, which a process takes over from the one it is of."""
    status = Path("/proc/self/status").read_text()
    (line,) = (one for one in status.splitlines() if one.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def _name(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return platform.processor() or "CPU"


def _say(what: str, times: Times, each: int) -> None:
    listed = ", ".join(f"{n} {1e3 * median(t) / each:.2f}" for n, t in times.items())
    print(f"{what}, ms: {listed}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(CANDIDATES))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--batches", type=int, nargs="*", default=BATCHES)
    parser.add_argument("--out", type=Path, help="folder; tasks and memory too")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.manual_seed(0)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.peak:
        peak(*options.peak)
        return
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU here: nothing is measured")
        return
    machine = Machine.measure(options.device)
    candidates = available(options.only, options.device)
    batched = {n: e for n, e in candidates.items() if n != "GFN2-xTB"}
    results: dict[str, Any] = {
        "about": f"{_name(options.device)}, torch {torch.__version__}",
        "machine": asdict(machine),
        "single": {
            s: single(candidates, s, options.sizes, options.rounds) for s in SHAPES
        },
        "batches": batches(batched, options.batches, options.rounds),
    }
    if options.out is None:
        return
    results |= {
        "tasks": tasks(options.rounds, options.device),
        "memory": {
            structure: {name: memory(name, structure) for name in batched}
            for structure in ("chain:1000", "diamond:1000", "batch:64")
            if options.device == "cpu"
        },
    }
    write(results, options.out)


if __name__ == "__main__":
    main()
