"""Errors of calculators on energies and forces off equilibrium, molecule by molecule.

    python training/delta/evaluate_forces.py qm9_delta.pt qm9.pt tblite:GFN2-xTB \
        --data rmd17.h5 --frames 50 --out training/delta/results/rmd17.json

Mean absolute errors of force components, and of energies after the mean over frames of
a molecule. The set may be of another level of theory than the calculators: part of the
errors is then the difference of the two.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import repeat
from pathlib import Path

import numpy as np
from output import command, show
from rich.progress import track

from ase_physml.calculators.names import make_calculator
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.groups import groups_of
from ase_physml.errors import PhysMLError

Numbers = dict[str, float]


def chosen(data: RaggedSet, by: str, most: int) -> dict[str, list[Frame]]:
    """Frames of each molecule, evenly spaced; of all together by "all"."""
    places: dict[str, list[int]] = defaultdict(list)
    together = repeat("all", len(data))
    groups: Iterable[str] = together if by == "all" else groups_of(data, by)
    for index, group in enumerate(groups):
        places[group].append(index)
    return {
        group: [
            data[found[k]] for k in np.linspace(0, len(found) - 1, most).astype(int)
        ]
        for group, found in places.items()
    }


def errors(calculator: str, frames: list[Frame]) -> Numbers | None:
    """MAE of forces and of relative energies; None where elements are unknown."""
    calc = make_calculator(calculator)
    energy, forces = [], []
    try:
        for frame in frames:
            atoms = to_atoms(frame, labels=False)
            atoms.calc = calc
            forces.append(np.abs(atoms.get_forces() - frame.forces).mean())
            energy.append(atoms.get_potential_energy() - (frame.energy or np.nan))
    except PhysMLError:
        return None
    relative = np.array(energy) - np.mean(energy)
    return {
        "mae_force_eV_per_A": float(np.mean(forces)),
        "mae_relative_energy_meV": 1000.0 * float(np.abs(relative).mean()),
    }


def main() -> None:
    parser = command(__doc__)
    parser.add_argument("calculators", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--by", default="composition", help="what tells molecules apart"
    )
    parser.add_argument("--frames", type=int, default=50, help="of each molecule")
    options = parser.parse_args()
    data = RaggedSet(options.data)
    molecules = chosen(data, options.by, options.frames)
    found = {
        "level_of_theory": data.metadata.level_of_theory,
        "frames": options.frames,
        **{
            calculator: {
                name: errors(calculator, frames)
                for name, frames in track(molecules.items(), calculator)
            }
            for calculator in options.calculators
        },
    }
    show(found, options.out)


if __name__ == "__main__":
    main()
