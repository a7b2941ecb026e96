"""Validation errors against molecules seen, over runs that went on from each other.

    python training/learning_curve.py runs/qm9_delta runs/qm9_delta_second runs/m2 \
        --batch-size 24 --out training/delta/results/qm9_delta_curve.json \
        --plot training/delta/results/qm9_delta_curve.png

Errors are those of the averaged weights, which lag behind at the start.
"""

import argparse
import json
from pathlib import Path

from matplotlib.figure import Figure

from ase_physml.training.callbacks import read_metrics

Curve = dict[str, list[tuple[int, float]]]


def joined(runs: list[Path], batch_size: int) -> Curve:
    """Error to (molecules seen, value) pairs; each run starts where the last ended."""
    curve: Curve = {}
    seen = 0
    for run in runs:
        series = read_metrics(run / "csv")
        errors = {n: s for n, s in series.items() if n.startswith("val/mae")}
        for name, points in errors.items():
            found = [(seen + batch_size * (step + 1), v) for step, v in points]
            curve.setdefault(name.removeprefix("val/"), []).extend(found)
        seen = max(points[-1][0] for points in curve.values())
    return curve


def plot(curve: Curve, out: Path) -> None:
    """One panel an error, both axes logarithmic."""
    figure = Figure(figsize=(4.5 * len(curve), 3.6), layout="constrained")
    panels = figure.subplots(1, len(curve), squeeze=False)[0]
    for axes, (name, points) in zip(panels, curve.items(), strict=True):
        seen, values = zip(*points, strict=True)
        axes.plot(seen, values, ".-", markersize=3)
        unit = "eV/Å" if "force" in name else "eV"
        axes.set(
            xlabel="molecules seen", ylabel=f"{name.replace('_', ' ')} ({unit})",
            xscale="log", yscale="log",
        )  # fmt: skip
        axes.grid(alpha=0.3, which="both")
    figure.savefig(out, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of `physml train`")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    curve = joined(options.runs, options.batch_size)
    options.out.write_text(json.dumps(curve) + "\n")
    if options.plot is not None:
        plot(curve, options.plot)


if __name__ == "__main__":
    main()
