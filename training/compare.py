"""Learning curves of several runs in one picture, and as a table.

python training/compare.py runs/reactions0 runs/reactions_scratch --out curves.png
"""

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from ase_physml.training.callbacks import read_metrics

WATCHED = ("val/mae_energy", "val/mae_forces")
STEPS = (1000, 2000, 5000, 10000, 20000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(WATCHED))
    print("| validation error after steps | " + " | ".join(map(str, STEPS)) + " |")
    print("| --- |" + " --- |" * len(STEPS))
    for run in options.runs:
        metrics = read_metrics(run / "csv")
        for axes, name in zip(panels, WATCHED, strict=True):
            steps, values = zip(*metrics[name], strict=True)
            axes.loglog(steps, values, label=run.name)
            axes.set(xlabel="step", ylabel=f"{name} (eV or eV/Å)")
            known = {step + 1: value for step, value in metrics[name]}
            cells = [f"{known[s]:.3f}" if s in known else "" for s in STEPS]
            print(f"| {run.name}: {name} | " + " | ".join(cells) + " |")
    panels[0].legend()
    figure.savefig(options.out, dpi=120)


if __name__ == "__main__":
    main()
