"""Conformers of a molecule, from its SMILES to energies and Boltzmann weights.

python examples/conformers.py "CC(=O)NC1CC1"
"""

import argparse
from pathlib import Path

from ase_physml import generate_conformers, write_conformers


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


if __name__ == "__main__":
    main()
