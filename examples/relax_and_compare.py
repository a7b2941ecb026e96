"""Relax a molecule with a PhysML potential and with GFN2-xTB, and compare.

python examples/relax_and_compare.py
"""

import argparse

from ase.build import molecule

from ase_physml import mean_displacement, relax


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qm9.pt")
    parser.add_argument("--molecule", default="CH3CONH2", help="a name of ase.build")
    options = parser.parse_args()
    start = molecule(options.molecule)
    start.rattle(0.05, seed=1)
    found = [relax(start, name).atoms for name in (options.model, "tblite:GFN2-xTB")]
    moved = mean_displacement(found[0].positions, found[1].positions)
    for atoms in found:
        bond = atoms.get_distance(0, 1)
        print(f"{type(atoms.calc).__name__:18} first bond {bond:.3f} Å")
    print(f"mean distance of the two structures: {moved:.3f} Å")


if __name__ == "__main__":
    main()
