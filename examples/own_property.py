"""A property of your own, from a table to predictions, in four commands.

    python examples/own_property.py examples/boiling_points.csv boiling

Two models are trained on one split and joined: each prediction comes with how far they
part. Boiling points (°C, at 1 atm, from the literature) of 48 small molecules take
two minutes.
"""

import argparse
import csv
import shlex
import subprocess
import sys
from pathlib import Path

from matplotlib.figure import Figure

from ase_physml.chem.property_sets import PropertySet
from ase_physml.data.index_split import Split

RECIPE = Path(__file__).parent / "properties.yaml"
MEMBERS = (0, 1)


def run(command: str) -> None:
    """Show a command, then run it."""
    print(f"$ {command}", flush=True)
    _, *arguments = shlex.split(command)
    subprocess.run([sys.executable, "-m", "ase_physml.cli", *arguments], check=True)


def draw(target: str, unit: str) -> None:
    """Predictions with their spread against what was measured, by part of the split."""
    with Path("predicted.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    split = Split.load("mine.json")
    lines = PropertySet.load("mine.h5").store.columns["index"]
    parts = {"train": split.train, "val": split.val, "test": split.test}
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    for part, colour in (("train", "0.6"), ("val", "C0"), ("test", "C3")):
        own = [rows[int(lines[k])] for k in parts[part]]
        columns = (target, f"predicted_{target}", f"predicted_{target}_std")
        x, y, bars = ([float(row[c]) for row in own] for c in columns)
        axes.errorbar(x, y, yerr=bars, fmt="o", ms=4, lw=0.8, color=colour, label=part)
    axes.axline((0.0, 0.0), slope=1.0, color="black", lw=0.8, ls="--")
    axes.set(
        xlabel=f"{target}, measured ({unit})",
        ylabel=f"{target}, predicted ± spread ({unit})",
    )
    axes.legend(frameon=False)
    figure.savefig("own_property.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="CSV file with SMILES")
    parser.add_argument("target", help="its column to learn")
    parser.add_argument("--unit", default="°C", help="of the target")
    parser.add_argument("--steps", type=int, default=600, help="of training")
    options = parser.parse_args()
    table = shlex.quote(str(options.table))
    target = shlex.quote(options.target)
    run(f"physml data table {table} mine.h5 --target {target} --overwrite")
    for member in MEMBERS:
        run(
            f"physml train {shlex.quote(str(RECIPE))} name=mine{member} seed={member} "
            f"data=mine.h5 split=mine.json steps={options.steps}"
        )
    models = " ".join(f"runs/mine{member}/mine{member}.pt" for member in MEMBERS)
    run(f"physml committee {models} --data mine.h5 --split mine.json --out mine.pt")
    run(f"physml predict ./mine.pt {table} -o predicted.csv --overwrite")
    draw(options.target, options.unit)
    print("drawn in own_property.png")


if __name__ == "__main__":
    main()
