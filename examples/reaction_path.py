"""A nudged elastic band: one calculator per image, one model for all.

    python examples/reaction_path.py

The path of a methyl rotation in ethane, both ends of which are minima. A potential
whose card says "equilibrium" has never seen a barrier: read the figure with care.
"""

import argparse
import copy

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.mep import NEB
from ase.optimize import BFGS, FIRE

from ase_physml import PhysMLCalculator


def ends(calculator: PhysMLCalculator) -> tuple[Atoms, Atoms]:
    """Ethane, and ethane with the hydrogens of one methyl group moved on by one."""
    first = molecule("C2H6")
    first.calc = copy.copy(calculator)
    BFGS(first, logfile=None).run(fmax=0.02, steps=200)
    last = first.copy()
    near = [i for i in range(2, 8) if first.get_distance(0, i) < 1.5]
    turned = first.copy()
    axis = first.positions[1] - first.positions[0]
    turned.rotate(120, axis, center=first.positions[0])
    last.positions[near] = turned.positions[near]
    return first, last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qm9.pt")
    parser.add_argument("--images", type=int, default=7)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    calculator = PhysMLCalculator(options.model)
    first, last = ends(calculator)
    images = [first, *(first.copy() for _ in range(options.images - 2)), last]
    for image in images:
        image.calc = copy.copy(calculator)
    path = NEB(images, method="improvedtangent")
    path.interpolate("idpp")
    FIRE(path, logfile=None).run(fmax=0.05, steps=options.steps)
    # All images in one pass; each gets its own results.
    energies = np.array([r["energy"] for r in calculator.calculate_many(images)])
    for index, energy in enumerate(energies - energies[0]):
        print(f"image {index}: {energy:+.3f} eV")
    print(f"barrier {energies.max() - energies[0]:.3f} eV (experiment: 0.125 eV)")


if __name__ == "__main__":
    main()
