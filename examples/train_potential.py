"""A small potential from nothing, and how far it is off on structures it has not seen.

    python examples/train_potential.py --steps 2500

The data come with the checkout: structures of small molecules off equilibrium, and
minima, by GFN2-xTB. 2,500 steps take two minutes on two cores; it works, and no more.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from ase_physml import PhysMLCalculator
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split

TRAINING = Path(__file__).parents[1] / "training"
RECIPE = TRAINING / "quickstart.yaml"
RUN = Path("runs/quickstart")

Array = npt.NDArray[np.float64]


def train(steps: int) -> None:
    """Show the command, then run it."""
    overrides = [f"stages.0.steps={steps}", f"stages.0.warmup={min(100, steps // 5)}"]
    arguments = ["train", str(RECIPE), *overrides, "--out", str(RUN)]
    print("$ physml", *arguments, flush=True)
    command = [sys.executable, "-m", "ase_physml.cli", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def forces_of_test_part(model: Path, most: int) -> tuple[Array, Array]:
    """Components of the forces, as labelled and as predicted, eV/Å."""
    data = RaggedSet(TRAINING / "quickstart.h5")
    part = Split.load(TRAINING / "quickstart_split.json").test[:most]
    frames = [data[int(index)] for index in part]
    found = PhysMLCalculator(model).calculate_many([to_atoms(f) for f in frames])
    labels = [np.asarray(frame.forces).ravel() for frame in frames]
    predictions = [one["forces"].ravel() for one in found]
    return np.concatenate(labels), np.concatenate(predictions)


def draw(labels: Array, predictions: Array, error: float) -> None:
    figure = Figure(figsize=(4.2, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(labels, predictions, ".", ms=2, alpha=0.4)
    # A few structures with atoms on top of each other lie far outside.
    ends = np.quantile(labels, (0.005, 0.995))
    axes.plot(ends, ends, "k--", lw=0.8)
    axes.set(
        xlim=ends,
        ylim=ends,
        xlabel="force by GFN2-xTB (eV/Å)",
        ylabel="force predicted (eV/Å)",
        title=f"test part: half within {error:.2f} eV/Å",
    )
    figure.savefig("train_potential.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--frames", type=int, default=300, help="to be tested on")
    options = parser.parse_args()
    train(options.steps)
    labels, predictions = forces_of_test_part(RUN / "quickstart.pt", options.frames)
    error = float(np.median(abs(labels - predictions)))
    print(f"{len(labels):,} components of forces, half of them within {error:.3f} eV/Å")
    draw(labels, predictions, error)
    print(f"drawn in train_potential.png; learning curves: {RUN}/curves.png")


if __name__ == "__main__":
    main()
