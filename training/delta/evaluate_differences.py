"""Measure a potential on a baseline where differences of energies are known.

    python training/delta/evaluate_differences.py organic_delta.pt \
        --data organic_delta.h5 \
        --split training/delta/splits/organic_delta.json --compare smiles --relax 200 \
        --out out.json
    python training/delta/evaluate_differences.py reactions_delta.pt \
        --data reactions_delta.h5 --split training/delta/splits/reactions_delta.json \
        --compare reaction \
        --modes 50 --out out.json

The set is one that `physml data label --less` made: its labels are the errors of the
baseline, and errors of the correction are those of the sum. Of the held-out frames:
errors of energy differences between frames that are compared (conformers of a molecule;
reactant and saddle), mean over pairs, then over molecules or reactions; of force
components, zero being right at stationary points. With ``--relax``, distances of heavy
atoms from the structure of the set after a relaxation by the potential and by its
baseline; with ``--modes``, how many saddles have one negative mode, no more, with each.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from output import command, show
from rich.progress import track
from zero_point import hessian, vibrations

from ase_physml import PhysMLCalculator, relax_many
from ase_physml.calculators.names import make_calculator
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.groups import groups_of
from ase_physml.data.index_split import Split
from ase_physml.workflows.alignment import rmsd
from ase_physml.workflows.uncertainty import correction_of

Numbers = dict[str, float]
BATCH = 64
# eV/Å^2/amu: modes softer than 50 cm-1 are neither.
NEGATIVE = -((50.0 / 521.47) ** 2)
PLACES = {"r": "reactants", "ts": "saddles", "p": "products"}


def corrections(
    calculator: PhysMLCalculator, frames: Sequence[Frame]
) -> list[dict[str, Any]]:
    """Results of a correction for each frame."""
    order = sorted(range(len(frames)), key=lambda k: len(frames[k].numbers))
    found: dict[int, dict[str, Any]] = {}
    for start in track(range(0, len(order), BATCH), "energies and forces"):
        some = order[start : start + BATCH]
        atoms = [to_atoms(frames[k], labels=False) for k in some]
        found |= zip(some, calculator.calculate_many(atoms), strict=True)
    return [found[k] for k in range(len(frames))]


def differences(errors: np.ndarray, groups: Sequence[str]) -> Numbers:
    """Mean over groups of the mean error of pairs, eV; NaN is not known."""
    members: dict[str, list[float]] = defaultdict(list)
    for error, group in zip(errors, groups, strict=True):
        if np.isfinite(error):
            members[group].append(error)
    means = [
        float(np.mean([abs(a - b) for a, b in combinations(some, 2)]))
        for some in members.values()
        if len(some) > 1
    ]
    return {
        "groups": len(means),
        "mae_difference_meV": 1000.0 * float(np.mean(means)),
        "median_difference_meV": 1000.0 * float(np.median(means)),
    }


def force_errors(
    left_over: Sequence[np.ndarray], frames: Sequence[Frame], by_place: bool
) -> Numbers:
    """MAE of components, eV/Å, in all and by the place on a reaction."""
    sizes: dict[str, list[np.ndarray]] = defaultdict(list)
    for error, frame in zip(left_over, frames, strict=True):
        sizes["mae_force_eV_per_A"].append(np.abs(error).ravel())
        if by_place:
            place = PLACES[(frame.name or "").rpartition("/")[2]]
            sizes[f"mae_force_{place}_eV_per_A"].append(np.abs(error).ravel())
    return {name: float(np.concatenate(found).mean()) for name, found in sizes.items()}


def relaxed(calculator: str, frames: Sequence[Frame]) -> Numbers:
    """Distances of heavy atoms that relaxations go from their starts, Å."""
    starts = [to_atoms(frame, labels=False) for frame in frames]
    # One at a time: a batch takes as long as its slowest.
    outcomes = [
        relax_many([start], make_calculator(calculator))[0]
        for start in track(starts, f"relaxing with {calculator}")
    ]
    moved = []
    for start, done in zip(starts, outcomes, strict=True):
        if isinstance(done, Exception):
            continue
        heavy = start.numbers > 1
        moved.append(rmsd(done.atoms.positions[heavy], start.positions[heavy]))
    return {
        "molecules": len(moved),
        "mean_A": float(np.mean(moved)),
        "median_A": float(np.median(moved)),
        "below_0.1_A": float((np.array(moved) < 0.1).mean()),
    }


def saddles(calculator: str, frames: Sequence[Frame]) -> Numbers:
    """Negative modes at given saddles."""
    calc = make_calculator(calculator)
    counts = []
    for frame in track(frames, f"modes with {calculator}"):
        atoms: Atoms = to_atoms(frame, labels=False)
        atoms.calc = calc
        values = np.linalg.eigvalsh(vibrations(hessian(atoms, 0.005), atoms))
        counts.append(int((values < NEGATIVE).sum()))
    found = np.array(counts)
    return {
        "saddles": len(found),
        "one_negative_mode": float((found == 1).mean()),
        "none": float((found == 0).mean()),
        "more": float((found > 1).mean()),
    }


def main() -> None:
    parser = command(__doc__)
    parser.add_argument("calculator", help="potential on a baseline")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, help="without, all frames are measured")
    parser.add_argument("--compare", required=True, help="smiles, or reaction")
    parser.add_argument("--part", choices=("test", "val"), default="test")
    parser.add_argument("--relax", type=int, default=0, help="frames")
    parser.add_argument("--modes", type=int, default=0, help="saddles")
    options = parser.parse_args()
    data = RaggedSet(options.data)
    calculator = correction_of(PhysMLCalculator(options.calculator), data)
    part = np.arange(len(data))
    if options.split is not None:
        part = getattr(Split.load(options.split), options.part)
    groups = list(groups_of(data, options.compare))
    frames = list(data.read(part))
    compared = [groups[k] for k in part]
    is_reaction = options.compare == "reaction"
    found = corrections(calculator, frames)
    energy = np.array([np.nan if f.energy is None else f.energy for f in frames])
    forces = [
        np.zeros_like(f.positions) if f.forces is None else f.forces for f in frames
    ]
    ours = np.array([one["energy"] for one in found]) - energy
    left = [one["forces"] - label for one, label in zip(found, forces, strict=True)]
    result: dict[str, Any] = {
        "calculator": options.calculator,
        "part": options.part if options.split is not None else "all",
        "frames": len(frames),
        **differences(ours, compared),
        **force_errors(left, frames, is_reaction),
        "baseline": {
            "calculator": data.metadata.baseline,
            **differences(energy, compared),
            **force_errors(forces, frames, is_reaction),
        },
    }
    both = (options.calculator, data.metadata.baseline)
    if options.relax:
        some = frames[: options.relax]
        result["relaxed"] = {name: relaxed(name, some) for name in both}
    if options.modes:
        at_saddle = [f for f in frames if (f.name or "").endswith("/ts")]
        some = at_saddle[: options.modes]
        result["modes"] = {name: saddles(name, some) for name in both}
    show(result, options.out, indent=2)


if __name__ == "__main__":
    main()
