"""Harmonic frequencies of small molecules by several calculators, side by side.

    python training/delta/frequencies.py qm9_delta.pt qm9.pt reactions.pt \
        tblite:GFN2-xTB \
        --out training/delta/results/frequencies.json

Each relaxed to 0.001 eV/Å and displaced by ASE's `Vibrations`; cm-1, imaginary ones
negative, without the five or six lowest in size (translations and rotations).
"""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase.build import molecule
from ase.optimize import BFGS
from ase.vibrations import Vibrations
from output import command, show

from ase_physml.calculators.names import make_calculator

LINEAR = ("HCN", "CO2", "C2H2")


def frequencies(calculator: str, name: str) -> list[float]:
    atoms = molecule(name)
    atoms.calc = make_calculator(calculator)
    if not BFGS(atoms, logfile=None).run(fmax=1e-3, steps=500):
        raise SystemExit(f"{calculator}: {name} does not relax")
    with TemporaryDirectory() as folder:
        vibrations = Vibrations(atoms, name=str(Path(folder) / name))
        vibrations.run()
        complex_ones = np.array(vibrations.get_frequencies())
    signed = complex_ones.real - complex_ones.imag
    outer = 5 if name in LINEAR else 6
    return sorted(signed[np.argsort(np.abs(signed))][outer:].round(0).tolist())


def main() -> None:
    parser = command(__doc__)
    parser.add_argument("calculators", nargs="+")
    parser.add_argument("--molecules", nargs="+", default=["H2O", "HCN"])
    options = parser.parse_args()
    # That a potential is not for vibrations is what is to be seen here.
    warnings.filterwarnings("ignore", message=".*vibrations.*")
    found = {
        calculator: {name: frequencies(calculator, name) for name in options.molecules}
        for calculator in options.calculators
    }
    show(found, options.out)


if __name__ == "__main__":
    main()
