"""What 800 frames of one molecule teach, by architecture, optimizer and start.

    python training/fine_tuning/study.py rmd17.h5 ethanol --out runs/ethanol \
        --results training/fine_tuning/results

Each row of `ROWS` trains `one_molecule.yaml` on 800 frames of the molecule, looks at
100 on the way, and is measured on the other 100. Rows resume where they were; those
that are measured are left alone. Writes ``MOLECULE.json``.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from rich import print as show

from ase_physml import PhysMLCalculator
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.data.writer import write
from ase_physml.jobs.disk import write_json

HERE = Path(__file__).parent
TRAIN, WATCHED = 800, 100

FRESH = ("model.width=64", "model.depth=3", "model.heads=4", "model.n_basis=24")
# Overrides of the recipe.
ROWS: dict[str, tuple[str, ...]] = {
    "64x3": FRESH,
    "64x3, AdamW": (*FRESH, "optimizer=adamw", "stages.0.learning_rate=1e-3"),
    "128x3": ("model.width=128", "model.heads=8", *FRESH[1:2], FRESH[3]),
    "64x3, angles": (*FRESH, "model.angular=4"),
    "64x3, angles, charges": (*FRESH, "model.angular=4", "model.pair_terms=physical"),
    "from qm9.pt": ("start_from=qm9.pt", "refit_self_energies=true"),
}


def prepare(given: Path, molecule: str, out: Path) -> None:
    """Frames of the molecule, and which of them are for what."""
    if (out / "split.json").exists():
        return
    whole = RaggedSet(given)
    names = [str(name.decode()).partition("/")[0] for name in whole.column("name")]
    places = np.array([k for k, name in enumerate(names) if name == molecule])
    if len(places) <= TRAIN + WATCHED:
        found = ", ".join(sorted(set(names)))
        raise SystemExit(f"{given}: {len(places)} frames of {molecule}; has {found}")
    write(out / "frames.h5", whole.read(places), whole.metadata)
    order = np.random.default_rng(0).permutation(len(places))
    parts = np.split(order, [TRAIN, TRAIN + WATCHED])
    Split(*map(np.sort, parts)).save(out / "split.json")


def train(row: str, out: Path, extra: list[str]) -> Path:
    """Train a row, or go on with it."""
    folder = out / row.replace(", ", "_").replace(" ", "_")
    command = [sys.executable, "-m", "ase_physml.cli", "train"]
    command += [str(HERE / "one_molecule.yaml")]
    command += [f"sources.0.path={out.resolve() / 'frames.h5'}"]
    command += [f"sources.0.split={out.resolve() / 'split.json'}", *ROWS[row], *extra]
    command += ["--out", str(folder), "--resume", "last"]
    subprocess.run(command, check=True)
    return folder / "row.pt"


def measure(potential: Path, out: Path) -> dict[str, float]:
    """Mean absolute errors on the test part."""
    frames = [RaggedSet(out / "frames.h5")[int(k)] for k in test_part(out)]
    calculator = PhysMLCalculator(potential.resolve())
    found = calculator.calculate_many([to_atoms(f, labels=False) for f in frames])
    energies = [one["energy"] - f.energy for one, f in zip(found, frames, strict=True)]
    forces = [one["forces"] - f.forces for one, f in zip(found, frames, strict=True)]
    return {
        "frames": len(frames),
        "mae_energy_meV": 1e3 * float(np.abs(energies).mean()),
        "mae_force_eV_per_A": float(np.abs(np.concatenate(forces)).mean()),
    }


def test_part(out: Path) -> np.ndarray:
    """Indices of frames that no row has seen."""
    return Split.load(out / "split.json").test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("molecule")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--set", nargs="*", default=[], help="further key=value")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    prepare(options.data, options.molecule, options.out)
    path = options.results / f"{options.molecule}.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for row in options.rows:
        if row not in results:
            potential = train(row, options.out, options.set)
            results[row] = measure(potential, options.out)
            write_json(path, results, indent=1)
    show(results)


if __name__ == "__main__":
    main()
