"""Training curves from Lightning's CSV log to a PNG."""

import csv
from collections import defaultdict
from pathlib import Path

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
    """Draw losses and validation errors against steps, one panel each."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    series = read_metrics(folder)
    groups = {
        "losses (unweighted)": "train/",
        "validation error (eV, eV/Å)": "val/",
        "learning rate": "lr",
    }
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    for axis, (title, prefix) in zip(axes, groups.items(), strict=True):
        for name, points in sorted(series.items()):
            if name.startswith(prefix) and name != "val/score":
                steps, values = zip(*points, strict=True)
                axis.plot(steps, values, label=name.removeprefix(prefix))
        axis.set(title=title, xlabel="optimizer step", yscale="log")
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(fontsize=8)
    partial = out.with_suffix(".part.png")
    figure.savefig(partial, dpi=120)
    plt.close(figure)
    partial.replace(out)
