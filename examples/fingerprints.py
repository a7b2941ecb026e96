"""Fingerprints of molecules: which are alike, and what the model says of them.

python examples/fingerprints.py --model runs/esol/esol.pt
"""

import argparse

import numpy as np
from matplotlib.figure import Figure

from ase_physml import fingerprints, predict_properties

MOLECULES = ["CCO", "CCCO", "CCCCCCO", "c1ccccc1", "Cc1ccccc1", "CC(=O)O"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="trained on a property")
    parser.add_argument("smiles", nargs="*", default=MOLECULES)
    options = parser.parse_args()
    found = fingerprints(options.smiles, options.model)
    predicted = predict_properties(options.smiles, options.model)
    distances = np.linalg.norm(found[:, None] - found, axis=-1)
    np.fill_diagonal(distances, np.inf)
    for k, one in enumerate(options.smiles):
        values = ", ".join(
            f"{name} {value:.3f} {predicted.unit}".rstrip()
            for name, value in zip(predicted.names, predicted.values[k], strict=True)
        )
        nearest = options.smiles[int(distances[k].argmin())]
        print(f"{one:12} {values}; nearest fingerprint: {nearest}")
    # A map of two dimensions: the directions in which they differ most.
    centred = found - found.mean(0)
    at = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    dots = axes.scatter(at[:, 0], at[:, 1], c=predicted.values[:, 0], s=40)
    for one, point in zip(options.smiles, at, strict=True):
        axes.annotate(one, point, xytext=(5, 4), textcoords="offset points")
    figure.colorbar(dots, label=predicted.unit)
    axes.margins(0.15)
    axes.set(xlabel="first component", ylabel="second component")
    axes.set_title(predicted.names[0])
    figure.savefig("fingerprints.png", dpi=120)
    print("drawn in fingerprints.png")


if __name__ == "__main__":
    main()
