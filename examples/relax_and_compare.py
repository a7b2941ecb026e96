"""Relax a molecule with a PhysML potential and with GFN2-xTB, and compare.

python examples/relax_and_compare.py
"""

import argparse

import numpy as np
from ase.build import molecule
from ase.visualize.plot import plot_atoms
from matplotlib.figure import Figure

from ase_physml import Relaxed, mean_displacement, relax


def draw(found: dict[str, Relaxed]) -> None:
    """Energies and largest forces of each, step by step, and where both end."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for name, one in found.items():
        left.plot(1000 * (np.array(one.energies) - one.energies[-1]), label=name)
        middle.semilogy(one.fmax_history, label=name)
    left.set(xlabel="step", ylabel="energy above the last (meV)")
    middle.set(xlabel="step", ylabel="largest force (eV/Å)")
    left.legend(frameon=False)
    last = next(iter(found.values())).atoms
    plot_atoms(last, right, rotation="70x,20y,0z", radii=0.7)
    right.set_axis_off()
    figure.savefig("relax_and_compare.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qm9.pt")
    parser.add_argument("--molecule", default="CH3CONH2", help="a name of ase.build")
    options = parser.parse_args()
    start = molecule(options.molecule)
    start.rattle(0.05, seed=1)
    found = {name: relax(start, name) for name in (options.model, "tblite:GFN2-xTB")}
    for name, one in found.items():
        bond = one.atoms.get_distance(0, 1)
        print(f"{name:18} first bond {bond:.3f} Å after {one.steps} steps")
    ours, theirs = (one.atoms.positions for one in found.values())
    moved = mean_displacement(ours, theirs)
    print(f"mean distance of the two structures: {moved:.3f} Å")
    draw(found)
    print("drawn in relax_and_compare.png")


if __name__ == "__main__":
    main()
