"""Vibrations of a molecule with a PhysML potential and with GFN2-xTB.

    python examples/vibrations.py CH3OH

qm9.pt and reactions.pt are not for vibrations, and say so; qm9_delta.pt is.
"""

import argparse
import tempfile

import numpy as np
import numpy.typing as npt
from ase.build import molecule
from ase.vibrations import Vibrations
from matplotlib.figure import Figure

from ase_physml import relax

Frequencies = npt.NDArray[np.float64]


def frequencies(name: str, model: str) -> Frequencies:
    """Harmonic wave numbers of the relaxed molecule, cm-1; imaginary ones negative."""
    atoms = relax(molecule(name), model, fmax=0.002).atoms
    with tempfile.TemporaryDirectory() as folder:
        vibrations = Vibrations(atoms, name=f"{folder}/vib")
        vibrations.run()
        found = vibrations.get_frequencies()
    # The six softest are no vibrations, but how the molecule moves and turns.
    modes: Frequencies = np.where(found.imag > found.real, -found.imag, found.real)
    return np.sort(modes[np.argsort(abs(modes))[6:]])


def draw(found: dict[str, Frequencies], title: str) -> None:
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    at = np.linspace(0, 4200, 1500)
    for row, (name, modes) in enumerate(found.items()):
        lines = np.exp(-(((at[:, None] - modes) / 25) ** 2)).sum(1)
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
    found = {name: frequencies(options.molecule, name) for name in names}
    for name, modes in found.items():
        listed = " ".join(f"{mode:.0f}" for mode in modes)
        print(
            f"{name}: {listed} cm-1, zero-point energy {modes.sum() / 16131.1:.3f} eV"
        )
    draw(found, options.molecule)
    print("drawn in vibrations.png")


if __name__ == "__main__":
    main()
