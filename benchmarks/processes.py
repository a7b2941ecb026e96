"""Several processes: throughput, and whether the results are those of one.

Trains a small model by one process and by two of Lightning's DDP, at the same batch;
labels and relaxes molecules in this process and on one and two local Dask workers.

    OMP_NUM_THREADS=1 python benchmarks/processes.py --out benchmarks/results

Needs a core for each process, with nothing else on them.
"""

import argparse
import csv
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from ase import Atoms
from structures import DATA

from ase_physml import relax_on
from ase_physml.calculators.names import make_calculator
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.label import label
from ase_physml.data.metadata import Metadata
from ase_physml.jobs.dask import DaskWorkers
from ase_physml.jobs.pool import Processes, Workers

RECIPE = DATA.with_name("quickstart.yaml")
META = Metadata("PhysML", equilibrium=False)
SETTINGS = ("model.width=64", "batch_size=64", "validate=8", "compile=false")


def trained(devices: int, steps: int, folder: Path) -> tuple[float, list[float]]:
    """Seconds of training by a recipe, and its loss after every epoch."""
    out = folder / f"{devices}-{steps}"
    lengths = (f"stages.0.steps={steps}", "steps_per_epoch=10")
    command = [sys.executable, "-m", "ase_physml.cli", "train", str(RECIPE)]
    options = ["--devices", str(devices), "--accelerator", "cpu", "--out", str(out)]
    start = perf_counter()
    subprocess.run(
        [*command, *SETTINGS, *lengths, *options], check=True, capture_output=True
    )
    seconds = perf_counter() - start
    with next(out.glob("csv/version_*/metrics.csv")).open(newline="") as file:
        losses = [row["train/total"] for row in csv.DictReader(file)]
    return seconds, [float(loss) for loss in losses if loss]


def training_rows(folder: Path, steps: int) -> list[str]:
    """Steps a second without the start-up, and how far losses are apart."""
    rows, first = [], np.zeros(0)
    for devices in (1, 2):
        short, _ = trained(devices, 10, folder)
        long, losses = trained(devices, steps + 10, folder)
        first = np.array(losses) if devices == 1 else first
        apart = float(np.abs(np.array(losses) / first - 1.0).max())
        rate = steps / (long - short)
        name = "1 process" if devices == 1 else "2 processes, DDP"
        rows.append(f"| {name} | {rate:.2f} | {apart:.1e} |")
    return rows


def labelled(frames: Sequence[Frame], folder: Path, workers: Workers) -> bytes:
    """A set of labels, as the file is."""
    out = folder / "labels.h5"
    label(frames, out, make_calculator, "qm9.pt", META, workers=workers)
    return out.read_bytes()


def relaxed(structures: Sequence[Atoms], workers: Workers) -> bytes:
    """Final energies to 0.1 µeV, and numbers of steps."""
    done = relax_on(workers, structures, "qm9.pt", fmax=0.02)
    ends = []
    for one in done:
        if isinstance(one, Exception):
            raise one
        ends.append((round(one.energies[-1], 7), one.steps))
    return np.array(ends).tobytes()


def rows_of(name: str, count: int, work: Callable[[Workers], bytes]) -> list[str]:
    """Structures a second here, and on one and two workers."""
    rows, first = [], b""
    for workers in (0, 1, 2):
        if workers == 0:
            places = Processes(1)
            start, found = perf_counter(), work(places)
            seconds, first = perf_counter() - start, found
        else:
            with DaskWorkers(f"local:{workers}") as cluster:
                work(cluster)  # loads libraries and weights, compiles nothing
                start, found = perf_counter(), work(cluster)
                seconds = perf_counter() - start
        where = f"{workers} Dask workers" if workers else "this process"
        same = "yes" if found == first else "no"
        rows.append(f"| {name} | {where} | {count / seconds:.1f} | {same} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--molecules", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    data = RaggedSet(DATA)
    chosen = np.linspace(0, len(data) - 1, options.molecules).astype(int)
    frames = data.read(chosen)
    structures = [to_atoms(frame, labels=False) for frame in frames]
    with TemporaryDirectory() as name:
        folder = Path(name)
        lines = [
            "| training | steps a second | losses apart, relative |",
            "|---|---|---|",
        ]
        lines += training_rows(folder, options.steps)
        lines += ["", "| work | where | molecules a second | same result |"]
        lines += ["|---|---|---|---|"]
        many = 4 * frames
        work = partial(labelled, many, folder)
        lines += rows_of("labels by qm9.pt", len(many), work)
        lines += rows_of("relaxation", len(frames), partial(relaxed, structures))
    text = "\n".join(lines) + "\n"
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "processes.md").write_text(text)


if __name__ == "__main__":
    main()
