"""Fingerprints of molecules: which are alike, and what the model says of them.

python examples/fingerprints.py --model runs/esol/esol.pt
"""

import argparse

import numpy as np

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


if __name__ == "__main__":
    main()
