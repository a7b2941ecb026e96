"""Adsorption sites of a molecule on a metal, side by side.

python examples/adsorption_sites.py --metal Pd --molecule CH3OH
"""

import argparse

import numpy as np
from ase import Atoms
from ase.build import add_adsorbate, fcc111, molecule
from ase.constraints import FixAtoms
from ase.visualize.plot import plot_atoms
from matplotlib.figure import Figure

from ase_physml import PhysMLCalculator, Relaxed, relax_many

SITES = ("ontop", "bridge", "fcc", "hcp")


def on_site(metal: str, name: str, site: str, height: float) -> Atoms:
    """Four layers, of which the lower two are held, and a molecule, O or N down."""
    atoms: Atoms = fcc111(metal, (4, 3, 4), vacuum=8.0, periodic=True)
    added = molecule(name)
    down = int(np.argmax(added.numbers * np.isin(added.numbers, (7, 8))))
    away = added.positions.mean(0) - added.positions[down]
    if np.linalg.norm(away) > 0:
        added.rotate(away, "z")
    add_adsorbate(atoms, added, height, site, mol_index=down)
    atoms.set_constraint(FixAtoms(mask=[atom.tag > 2 for atom in atoms]))
    return atoms


def draw(found: dict[str, Relaxed], title: str) -> None:
    """Energies of the sites, and the best of them from above."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    energies = {site: one.energies[-1] for site, one in found.items()}
    bars = left.bar(list(energies), list(energies.values()))
    left.bar_label(bars, fmt="%.2f")
    left.set(
        xlabel="site at the start", ylabel="energy of adsorption (eV)", title=title
    )
    best = min(energies, key=energies.__getitem__)
    plot_atoms(found[best].atoms, right)
    right.set(xlabel="Å", ylabel="Å", title=f"{best}, from above")
    figure.savefig("adsorption_sites.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="adsorption.pt")
    parser.add_argument("--metal", default="Pd", help="one of the fcc metals")
    parser.add_argument("--molecule", default="CH3OH", help="a name of ase.build")
    parser.add_argument("--height", type=float, default=2.2, help="at the start, Å")
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    starts = [
        on_site(options.metal, options.molecule, site, options.height) for site in SITES
    ]
    calculator = PhysMLCalculator(options.model)
    relaxed: dict[str, Relaxed] = {}
    for site, found in zip(
        SITES,
        relax_many(starts, calculator, fmax=0.03, steps=options.steps),
        strict=True,
    ):
        if not isinstance(found, Relaxed):
            print(f"{site:7} {found}")
            continue
        relaxed[site] = found
        gap = found.atoms.positions[48:, 2].min() - found.atoms.positions[:48, 2].max()
        # This potential's energies are of adsorption already.
        print(
            f"{site:7} E_ads {found.energies[-1]:6.2f} eV, lowest atom {gap:4.2f} Å "
            f"above the metal, {found.steps} steps"
        )
    if relaxed:
        draw(relaxed, f"{options.molecule} on {options.metal}")
        print("drawn in adsorption_sites.png")


if __name__ == "__main__":
    main()
