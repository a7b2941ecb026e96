"""A list of molecules by solubility and lipophilicity, with error bars.

    python examples/screen.py examples/boiling_points.csv --best 5

A large table is the same from the command line, in processes and to be gone on with:
physml predict esol.pt TABLE.csv --out solubility.csv --jobs 8
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ase_physml import predict_properties


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="CSV file with a column smiles")
    parser.add_argument("--best", type=int, default=5, help="to be listed")
    parser.add_argument("--model", default="esol.pt", help="to rank by")
    parser.add_argument("--other", default="lipophilicity.pt", help="beside it")
    options = parser.parse_args()
    with options.table.open(newline="", encoding="utf-8") as file:
        smiles = [row["smiles"] for row in csv.DictReader(file)]
    first, second = (
        predict_properties(smiles, model) for model in (options.model, options.other)
    )
    names = [f"{one.names[0]} ({one.unit})" for one in (first, second)]
    values = [one.values[:, 0] for one in (first, second)]
    bars = [None if one.std is None else one.std[:, 0] for one in (first, second)]
    order = np.argsort(-values[0])
    print(f"highest {names[0]}, and {names[1]}:")
    for k in order[: options.best]:
        said = ["" if bar is None else f" ± {bar[k]:.2f}" for bar in bars]
        print(
            f"{smiles[k]:24} {values[0][k]:6.2f}{said[0]} {values[1][k]:8.2f}{said[1]}"
        )
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.errorbar(
        values[0],
        values[1],
        xerr=bars[0],
        yerr=bars[1],
        fmt="o",
        ms=4,
        lw=0.7,
        alpha=0.7,
    )
    for rank, k in enumerate(order[: options.best]):
        axes.annotate(
            smiles[k],
            (values[0][k], values[1][k]),
            xytext=(0.8, 0.95 - 0.07 * rank),
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "lw": 0.6, "color": "C3"},
        )
    axes.set(xlabel=names[0], ylabel=names[1])
    figure.savefig("screen.png", dpi=120)
    print("drawn in screen.png")


if __name__ == "__main__":
    main()
