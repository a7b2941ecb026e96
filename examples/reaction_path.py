"""A nudged elastic band whose images are computed together.

    python examples/reaction_path.py

The path of a methyl rotation in ethane, both ends of which are minima.
"""

import argparse

from ase import Atoms
from ase.build import molecule
from ase.optimize import BFGS, FIRE
from ase.utils.forcecurve import fit_images
from matplotlib.figure import Figure

from ase_physml import BatchedNEB, PhysMLCalculator


def ends(calculator: PhysMLCalculator) -> tuple[Atoms, Atoms]:
    """Ethane, and ethane with the hydrogens of one methyl group moved on by one."""
    first = molecule("C2H6")
    first.calc = calculator
    BFGS(first, logfile=None).run(fmax=0.02, steps=200)
    last = first.copy()
    near = [i for i in range(2, 8) if first.get_distance(0, i) < 1.5]
    turned = first.copy()
    axis = first.positions[1] - first.positions[0]
    turned.rotate(120, axis, center=first.positions[0])
    last.positions[near] = turned.positions[near]
    return first, last


def draw(images: list[Atoms], barrier: float) -> None:
    """Energies of the images; the curve has their forces for slopes."""
    fit = fit_images(images)
    figure = Figure(figsize=(5.5, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(fit.fit_path, fit.fit_energies)
    axes.plot(fit.path, fit.energies, "o", color="C0")
    axes.axhline(0.125, color="black", lw=0.8, ls="--", label="barrier by experiment")
    axes.set(xlabel="path (Å)", ylabel="energy (eV)", title=f"barrier {barrier:.3f} eV")
    axes.legend(frameon=False)
    figure.savefig("reaction_path.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="reactions.pt")
    parser.add_argument("--images", type=int, default=7)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    calculator = PhysMLCalculator(options.model)
    first, last = ends(calculator)
    images = [first, *(first.copy() for _ in range(options.images - 2)), last]
    path = BatchedNEB(images, calculator)
    path.interpolate("idpp")
    FIRE(path, logfile=None).run(fmax=0.05, steps=options.steps)
    start = images[0].get_potential_energy()
    for index, image in enumerate(images):
        print(f"image {index}: {image.get_potential_energy() - start:+.3f} eV")
    print(f"barrier {path.barrier:.3f} eV (experiment: 0.125 eV)")
    draw(images, path.barrier)
    print("drawn in reaction_path.png")


if __name__ == "__main__":
    main()
