"""Vibrations of a molecule with a PhysML potential and with GFN2-xTB.

    python examples/vibrations.py CH3OH

A potential that is not for vibrations, by its card, warns.
"""

import argparse

import numpy as np
from ase.build import molecule
from matplotlib.figure import Figure

from ase_physml import relax, vibrations_many
from ase_physml.workflows.vibrations.normal_modes import Vibrations


def vibrations(name: str, model: str) -> Vibrations:
    """Of the relaxed molecule; forces left would make others of them."""
    atoms = relax(molecule(name), model, fmax=0.002).atoms
    (found,) = vibrations_many([atoms], model)
    if isinstance(found, Exception):
        raise found
    return found


def draw(found: dict[str, Vibrations], title: str) -> None:
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    at = np.linspace(0, 4200, 1500)
    for row, (name, one) in enumerate(found.items()):
        lines = np.exp(-(((at[:, None] - one.frequencies) / 25) ** 2)).sum(1)
        axes.fill_between(at, 1.2 * row, 1.2 * row + lines, label=name, alpha=0.8)
    axes.set(xlabel="wave number (cm⁻¹)", ylabel="density of modes", title=title)
    axes.set_yticks([])
    axes.legend(loc="upper center", frameon=False)
    figure.savefig("vibrations.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("molecule", nargs="?", default="CH3OH", help="of ase.build")
    parser.add_argument("--model", default="qm9_delta.pt")
    options = parser.parse_args()
    names = (options.model, "tblite:GFN2-xTB")
    found = {name: vibrations(options.molecule, name) for name in names}
    for name, one in found.items():
        listed = " ".join(f"{mode:.0f}" for mode in one.frequencies)
        print(f"{name}: {listed} cm-1, zero-point {one.zero_point_energy:.3f} eV")
    draw(found, options.molecule)
    print("drawn in vibrations.png")


if __name__ == "__main__":
    main()
