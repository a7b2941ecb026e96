"""Measure a potential on relaxations of OC20 that it starts again from frame 0.

    python training/adsorption/evaluate_oc20.py oc20.pt --data oc20.h5 \
        --split training/adsorption/splits/oc20.json --out oc20_results.json

For the systems of the test part, of which no frame was trained on, and for those that
were trained on: errors of forces on the free atoms, and of energies relative to frame
0 of the same system (MAE over frames); and the relaxation from frame 0, with the atoms
held that DFT held: ΔP, its mean distance from the last structure of DFT over the free
atoms (Å), beside that of frame 0, and the error of the energy that it gains (eV).
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator
from evaluate_adsorption import energies, free, mae, shift
from make_oc20 import relaxations

from ase_physml.calculators.names import make_calculator
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.workflows.relax import relax

Numbers = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calculator", help="potential, or any calculator")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument(
        "--frames", type=int, default=10, help="of a system, for errors"
    )
    parser.add_argument("--systems", type=int, default=8, help="trained on, to relax")
    parser.add_argument("--fmax", type=float, default=0.05)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data, split = RaggedSet(options.data), Split.load(options.split)
    calculator = make_calculator(options.calculator)
    systems, test = relaxations(data), set(split.test.tolist())
    known = {k: v for k, v in systems.items() if not test.intersection(v.tolist())}
    unknown = {k: v for k, v in systems.items() if k not in known}
    known = dict(sorted(known.items())[: options.systems])
    result: dict[str, Any] = {"calculator": options.calculator}
    for name, some in {"test": unknown, "trained": known}.items():
        each = {k: one_system(calculator, data, v, options) for k, v in some.items()}
        keys = next(iter(each.values()))
        mean = {
            key: float(np.mean([one[key] for one in each.values()])) for key in keys
        }
        result[name] = {"systems": len(each), **mean, "each": each}
    text = json.dumps(result, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


def one_system(
    calculator: Calculator,
    data: RaggedSet,
    frames: np.ndarray,
    options: argparse.Namespace,
) -> Numbers:
    """Errors along a relaxation, and where one from its frame 0 ends."""
    some = frames[np.linspace(0, len(frames) - 1, options.frames).round().astype(int)]
    truth = data.column("energy")[some]
    found = energies(calculator, data, some.tolist())
    start, end = to_atoms(data[int(frames[0])]), to_atoms(data[int(frames[-1])])
    gained = end.get_potential_energy() - start.get_potential_energy()
    apart = shift(start, end)
    start.calc = calculator
    done = relax(start, fmax=options.fmax, steps=options.steps)
    return {
        "mae_energy_eV": mae(found - found[0], truth - truth[0]),
        "mae_force_eV_per_A": force_error(calculator, data, some),
        "displacement_of_start_A": apart,
        "displacement_A": shift(done.atoms, end),
        "energy_gained_eV": gained,
        "error_of_energy_gained_eV": abs(done.energies[-1] - done.energies[0] - gained),
        "converged": float(done.converged),
    }


def force_error(calculator: Calculator, data: RaggedSet, frames: np.ndarray) -> float:
    """MAE of force components on free atoms, eV/Å."""
    errors = []
    for frame in data.read(frames):
        atoms = to_atoms(frame, labels=False)
        atoms.calc = calculator
        assert frame.forces is not None
        found = atoms.get_forces(apply_constraint=False)
        errors.append(np.abs(found - frame.forces)[free(atoms)].ravel())
    return float(np.concatenate(errors).mean())


if __name__ == "__main__":
    main()
