"""How far a committee trusts itself: a bond is pulled until it breaks.

    python examples/trust.py

The band is the calibrated spread of the committee's members; beside it is the method
that labelled its training data. Where the band is wide, a structure is worth labelling.
"""

import argparse

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.build import molecule
from matplotlib.figure import Figure

from ase_physml import PhysMLCalculator, make_calculator

Array = npt.NDArray[np.float64]


def pulled(longest: float, points: int) -> list[Atoms]:
    """Methanol with its C-O bond longer and longer, the OH group as it is."""
    start = molecule("CH3OH")
    away = start.positions[1] - start.positions[0]
    frames = []
    for stretch in np.linspace(0.0, longest, points):
        atoms = start.copy()
        hydroxyl = [1, 3]
        atoms.positions[hydroxyl] += stretch * away / np.linalg.norm(away)
        frames.append(atoms)
    return frames


def draw(stretches: Array, energies: Array, spread: Array, reference: Array) -> None:
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(stretches, energies - spread, energies + spread, alpha=0.25)
    axes.plot(stretches, energies, "o-", label="committee ± spread")
    axes.plot(stretches, reference, "k--", label="GFN2-xTB")
    axes.set(xlabel="C-O bond longer by (Å)", ylabel="energy (eV)")
    axes.legend(frameon=False)
    figure.savefig("trust.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="reactions.pt", help="a committee")
    parser.add_argument("--reference", default="tblite:GFN2-xTB")
    parser.add_argument("--longest", type=float, default=2.0, help="Å")
    parser.add_argument("--points", type=int, default=17)
    options = parser.parse_args()
    frames = pulled(options.longest, options.points)
    stretches = np.linspace(0.0, options.longest, options.points)
    calculator = PhysMLCalculator(options.model)
    found = calculator.calculate_many(frames)
    reference = make_calculator(options.reference)
    energies = np.array([one["energy"] for one in found])
    # Of the energy less that of the first: what the members agree upon is no doubt.
    members = np.array([one["energy_members"] for one in found])
    calibration = calculator.calibration
    scale = 1.0 if calibration is None else calibration.energy_scale
    spread = scale * (members - members[0]).std(axis=1, ddof=1)
    true = np.array([reference.get_potential_energy(atoms) for atoms in frames])
    energies, true = energies - energies[0], true - true[0]
    print("longer (Å)  energy (eV)  spread (eV)  error (eV)")
    for row in zip(stretches, energies, spread, energies - true, strict=True):
        print("{:10.2f} {:12.2f} {:12.2f} {:+11.2f}".format(*row))
    draw(stretches, energies, spread, true)
    print("drawn in trust.png")


if __name__ == "__main__":
    main()
