"""Times of potentials beside a baseline's: one call as users make it.

    OMP_NUM_THREADS=1 python training/delta/call_times.py --out baseline_time.json

Energy and forces of molecules that move a little between calls, each calculator in
turn; medians, and the median of the ratios of calls that follow each other. Machines
are noisy: read the ratios.
"""

from time import perf_counter
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from output import command, show

from ase_physml.calculators.names import make_calculator
from ase_physml.workflows.inputs import from_smiles

# Of 20, 52 and 101 atoms.
MOLECULES = (
    "CC(C)CC(=O)OC",
    "CCOC(=O)c1ccc(NC(=O)CCCC2CCOCC2)cc1CO",
    "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC",
)

MODELS = ("qm9.pt", "qm9_delta.pt", "organic_delta.pt")


def seconds_of(calculator: Calculator, atoms: Atoms) -> float:
    began = perf_counter()
    calculator.get_property("forces", atoms)
    return perf_counter() - began


def compare(
    calculators: dict[str, Calculator], baseline: str, atoms: Atoms, calls: int
) -> dict[str, Any]:
    times: dict[str, list[float]] = {name: [] for name in calculators}
    for call in range(calls + 3):
        atoms.rattle(0.01, seed=call)
        for name, calculator in calculators.items():
            times[name].append(seconds_of(calculator, atoms))
    # The first calls build and allocate.
    measured = {name: np.array(values[3:]) for name, values in times.items()}
    return {
        "atoms": len(atoms),
        "threads": torch.get_num_threads(),
        "calls": calls,
        "ms": {k: 1e3 * float(np.median(v)) for k, v in measured.items()},
        "of_baseline": {
            k: float(np.median(v / measured[baseline])) for k, v in measured.items()
        },
    }


def main() -> None:
    parser = command(__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--baseline", default="tblite:GFN2-xTB")
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--molecules", nargs="+", default=MOLECULES)
    options = parser.parse_args()
    calculators = {
        options.baseline: make_calculator(options.baseline),
        **{model: make_calculator(model) for model in options.models},
    }
    found = [
        compare(calculators, options.baseline, from_smiles(smiles), options.calls)
        for smiles in options.molecules
    ]
    show(found, options.out)


if __name__ == "__main__":
    main()
