"""Conformers of a molecule, from its SMILES to energies and Boltzmann weights.

python examples/conformers.py "CC(=O)NC1CC1"
"""

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.neighborlist import natural_cutoffs, neighbor_list
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ase_physml import generate_conformers, write_conformers


def overlay(axes: Axes, conformers: list[Atoms]) -> None:
    """Heavy atoms and their bonds, laid upon those of the first."""
    heavy = [atoms[atoms.numbers > 1] for atoms in conformers]
    flat = np.linalg.svd(heavy[0].positions - heavy[0].positions.mean(0))[2][:2]
    ends = neighbor_list("ij", heavy[0], natural_cutoffs(heavy[0], 1.1))
    for k, atoms in enumerate(heavy):
        minimize_rotation_and_translation(heavy[0], atoms)
        at = atoms.positions @ flat.T
        for bond in zip(*ends, strict=True):
            axes.plot(*at[list(bond)].T, color=f"C{k % 10}", lw=2, alpha=0.8)
    axes.set_aspect("equal")
    axes.set(xlabel="Å", ylabel="Å", title="heavy atoms, overlaid")


def draw(conformers: list[Atoms]) -> None:
    figure = Figure(figsize=(8.5, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    overlay(left, conformers)
    energies = [1000 * atoms.info["relative_energy"] for atoms in conformers]
    distances = [atoms.info["rmsd"] for atoms in conformers]
    for k, at in enumerate(zip(distances, energies, strict=True)):
        right.plot(*at, "o", color=f"C{k % 10}")
    right.set(xlabel="RMSD to the first (Å)", ylabel="energy above the first (meV)")
    figure.savefig("conformers.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("smiles", nargs="?", default="CC(=O)NC1CC1")
    parser.add_argument("-n", type=int, default=10)
    parser.add_argument("--distances", default="physchem_qm9.pt")
    parser.add_argument("--model", default="qm9.pt", help="that relaxes them")
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    conformers = generate_conformers(
        options.smiles,
        n=options.n,
        model=options.distances,
        relax=options.model,
        steps=options.steps,
    )
    print(f"{len(conformers)} conformers of {conformers[0].info['isomer']}")
    print("above the first (eV)   weight   RMSD to the first (Å)")
    for atoms in conformers:
        about = atoms.info
        print(
            f"{about['relative_energy']:20.4f} {about['boltzmann_weight']:8.3f} "
            f"{about['rmsd']:23.2f}"
        )
    write_conformers(Path("conformers.sdf"), conformers)
    draw(conformers)
    print("written to conformers.sdf, drawn in conformers.png")


if __name__ == "__main__":
    main()
