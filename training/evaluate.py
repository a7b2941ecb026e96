"""Measure a potential on the held-out test split of an equilibrium set.

    python training/evaluate.py qm9.pt --data qm9_energies.h5 --split \
        training/splits/qm9_energies.json --out qm9.json

Reports, with the paper's protocol (Sec 4): MAE_E (meV per molecule) and MAE_F (eV/Å,
per component, against the zero force of a minimum) over the whole test split; and
ΔP (Å): 256 test molecules, the 128 smallest and 128 drawn from the others, are
displaced by Gaussian noise of 0.1 Å, relaxed with BFGS to 0.01 eV/Å in at most 500
steps, and compared with where they came from after the best rotation (mean over atoms,
then over molecules; without those in which atoms fell into each other, ``collapsed``).
Any ASE calculator can stand in for the potential in the ΔP part. A potential on a
baseline takes the set that `physml data label --less` made: errors of the correction
are those of the sum.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from ase_physml.calculators.names import make_calculator
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.errors import PhysMLError
from ase_physml.graph import AllPairs
from ase_physml.models.energy_model import energy_and_forces
from ase_physml.store.checkpoint import load_potentials
from ase_physml.store.registry import resolve
from ase_physml.training.batches import BatchStream, FrameStore
from ase_physml.workflows.alignment import mean_displacement
from ase_physml.workflows.relax import relax

Numbers = dict[str, float]


def labelled_errors(potential: Path, data: RaggedSet, test: np.ndarray) -> Numbers:
    """MAE_E and MAE_F of the mean of all members over all test frames, in float64."""
    loaded, card = load_potentials(potential)
    if card.baseline != data.metadata.baseline:
        raise SystemExit(
            f"{potential} corrects {card.baseline or 'nothing'}, but {data.path} is "
            f"what {data.metadata.baseline or 'nothing'} leaves over"
        )
    members = [member.double() for member in loaded]
    stream = BatchStream([FrameStore(data, test)], 64, 0)
    energy_errors, force_errors, left_over = [], [], []
    for step in track(range(len(stream)), "energies and forces"):
        batch = stream[step]
        graph = AllPairs(batch.numbers, batch.positions.double())
        totals, pulls = [], []
        for member in members:
            energies, of_member = energy_and_forces(member, graph)
            reference = member.reference_energy(batch.numbers).sum(1)
            totals.append(energies.molecules.detach() + reference)
            pulls.append(of_member)
        total, forces = (torch.stack(each).mean(0) for each in (totals, pulls))
        energy_errors.append((total - batch.energies).abs())
        # Zero at the minima of a set without forces.
        label = torch.zeros_like(forces) if batch.equilibrium else batch.forces
        force_errors.append((forces - label.reshape(forces.shape)).abs().flatten())
        left_over.append(label.abs().flatten())
    energy, force = torch.cat(energy_errors), torch.cat(force_errors)
    # What a baseline leaves over is its own error.
    baseline = {"baseline_mae_force_eV_per_A": torch.cat(left_over).mean().item()}
    return {
        **(baseline if card.baseline else {}),
        "test_molecules": len(energy),
        "mae_energy_meV": 1000.0 * energy.mean().item(),
        "median_error_energy_meV": 1000.0 * energy.median().item(),
        "mae_force_eV_per_A": force.mean().item(),
    }


def chosen(data: RaggedSet, test: np.ndarray, count: int) -> np.ndarray:
    """The smallest half and a random other half, as in the paper's Fig 2."""
    by_size = test[np.argsort(data.n_atoms[test], kind="stable")]
    small, rest = by_size[: count // 2], by_size[count // 2 :]
    random = np.random.default_rng(0)
    return np.concatenate([small, random.choice(rest, count - len(small), False)])


def recovery(
    calculator: str, data: RaggedSet, frames: np.ndarray, deviation: float
) -> dict[str, Any]:
    """ΔP after displacement and relaxation; see the top of this file."""
    calc = make_calculator(calculator)
    random = np.random.default_rng(1)
    distances, converged = [], []
    for frame in track(data.read(frames), f"relaxing from {deviation} Å"):
        atoms = to_atoms(frame)
        truth = atoms.positions.copy()
        atoms.positions += deviation * random.normal(size=truth.shape)
        atoms.calc = calc
        try:
            done = relax(atoms, fmax=0.01, steps=500)
        except PhysMLError:  # two atoms in one place: there is no way back
            distances.append(np.nan)
            converged.append(False)
            continue
        distances.append(mean_displacement(done.atoms.positions, truth))
        converged.append(done.converged)
    moved = np.array(distances)
    half = len(moved) // 2
    return {
        "mean_A": float(np.nanmean(moved)),
        "median_A": float(np.nanmedian(moved)),
        "mean_of_smallest_A": float(np.nanmean(moved[:half])),
        "mean_of_others_A": float(np.nanmean(moved[half:])),
        "below_0.1_A": float((moved < 0.1).mean()),
        "converged": float(np.mean(converged)),
        "collapsed": float(np.isnan(moved).mean()),
        "molecules": len(moved),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calculator", help="potential, or for ΔP any calculator")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--molecules", type=int, default=256)
    parser.add_argument("--deviations", type=float, nargs="*", default=[0.1])
    parser.add_argument("--part", choices=("test", "val"), default="test")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = RaggedSet(options.data)
    test = getattr(Split.load(options.split), options.part)
    result: dict[str, Any] = {"calculator": options.calculator, "part": options.part}
    if options.calculator.endswith(".pt"):
        path = resolve(options.calculator)
        result |= labelled_errors(path, data, np.sort(test))
    frames = chosen(data, test, options.molecules)
    for deviation in options.deviations:
        found = recovery(options.calculator, data, frames, deviation)
        result[f"recovery_from_{deviation}_A"] = found
    text = json.dumps(result, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
