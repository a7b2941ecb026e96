"""Read what a potential thinks of each pair of atoms: charges, depth, distance.

python examples/pair_parameters.py CH3CONH2
"""

import argparse

from ase.build import molecule

from ase_physml import PhysMLCalculator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("molecule", nargs="?", default="CH3CONH2")
    parser.add_argument("--model", default="qm9.pt")
    options = parser.parse_args()
    atoms = molecule(options.molecule)
    found = PhysMLCalculator(options.model).pair_parameters(atoms)
    distances = atoms.get_all_distances()
    print("pair      d (Å)  q_i q_j (e²)  depth (eV)  exponent  minimum (Å)")
    for i in range(len(atoms)):
        for j in range(i):
            pair = f"{atoms.symbols[j]}{j}-{atoms.symbols[i]}{i}"
            values = [float(value[i, j]) for value in found]
            print(
                f"{pair:8} {distances[i, j]:6.3f}  {values[0]:12.4f}  {values[1]:10.4f}"
                f"  {values[2]:8.2f}  {values[3]:11.3f}"
            )


if __name__ == "__main__":
    main()
