"""Training curves from Lightning's CSV log to a PNG."""

import csv
from collections import defaultdict
from pathlib import Path

from ase_physml.jobs.disk import atomic_write

Series = dict[str, list[tuple[int, float]]]


def read_metrics(folder: Path) -> Series:
    """Column name to (step, value) pairs of all ``metrics.csv`` in a folder.

    Lightning starts a new file whenever a run is resumed; where two overlap, after a
    kill between checkpoints, the later one counts.
    """
    series: dict[str, dict[int, float]] = defaultdict(dict)
    paths = folder.glob("version_*/metrics.csv")
    for path in sorted(paths, key=lambda p: int(p.parent.name.split("_")[1])):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    if value and name not in ("step", "epoch"):
                        series[name][int(row["step"])] = float(value)
    return {name: sorted(points.items()) for name, points in series.items()}


def plot_curves(folder: Path, out: Path) -> None:
    """Draw losses, validation errors and learning rate against steps."""
    from matplotlib.figure import Figure

    series = read_metrics(folder)
    groups = {
        "losses (unweighted)": "train/",
        "validation error (eV, eV/Å, eV/Å^3)": "val/",
        "learning rate": "lr-",
    }
    # A bare Figure: pyplot would settle the backend of the whole process.
    figure = Figure(figsize=(15, 4.2), layout="constrained")
    for axes, (title, prefix) in zip(
        figure.subplots(1, 3), groups.items(), strict=True
    ):
        for name, points in sorted(series.items()):
            if name.startswith(prefix) and name != "val/score":
                steps, values = zip(*points, strict=True)
                axes.plot(steps, values, label=name.removeprefix(prefix))
        axes.set(title=title, xlabel="optimizer step", yscale="log")
        axes.grid(alpha=0.3)
        if len(axes.lines) > 1:
            axes.legend(fontsize=8)
    with atomic_write(out) as partial:
        figure.savefig(partial, dpi=120, format="png")
