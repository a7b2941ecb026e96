"""Measure a potential on the held-out test split of an equilibrium set.

    python training/evaluate.py qm9.pt --data qm9_energies.h5 --split \
        training/splits/qm9_energies.json --out qm9.json

Reports, with the paper's protocol: MAE_E (meV per molecule) and MAE_F (eV/Å,
per component, against the zero force of a minimum) over the whole test split; and
ΔP (Å): 256 test molecules, the 128 smallest and 128 drawn from the others, are
displaced by Gaussian noise of 0.1 Å, relaxed with BFGS to 0.01 eV/Å in at most 500
steps, and compared with where they came from after the best rotation (mean over atoms,
then over molecules; without those in which atoms fell into each other, ``collapsed``;
``raw`` without that rotation, which noise has a part of that nothing brings back). From
0 Å the energy gained is the paper's ΔE_g (Fig 2b), of the minimum of the method that
made the set against the potential's own.
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
from rich.progress import Progress, track

from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.errors import PhysMLError
from ase_physml.graph import AllPairs
from ase_physml.potential import LoadedPotential
from ase_physml.store.registry import resolve
from ase_physml.training.batches import BatchStream, FrameStore
from ase_physml.workflows.alignment import mean_displacement
from ase_physml.workflows.relax import Relaxed
from ase_physml.workflows.relax_many import relax_many

Numbers = dict[str, float]


def labelled_errors(potential: Path, data: RaggedSet, test: np.ndarray) -> Numbers:
    """MAE_E and MAE_F of the mean of all members over all test frames, in float64."""
    loaded = LoadedPotential.open(potential, "cpu", "float64")
    baseline = loaded.card.baseline if loaded.card is not None else ""
    if baseline != data.metadata.baseline:
        raise SystemExit(
            f"{potential} corrects {baseline or 'nothing'}, but {data.path} is "
            f"what {data.metadata.baseline or 'nothing'} leaves over"
        )
    stream = BatchStream([FrameStore(data, test)], 64, 0)
    energy_errors, force_errors, left_over = [], [], []
    for step in track(range(len(stream)), "energies and forces"):
        batch = stream[step]
        members = loaded.evaluate(AllPairs(batch.numbers, batch.positions.double()))
        total = torch.stack([member.energies for member in members]).mean(0)
        forces = torch.stack([member.forces for member in members]).mean(0)
        energy_errors.append((total - batch.energies).abs())
        # Zero at the minima of a set without forces.
        label = torch.zeros_like(forces)
        if not batch.equilibrium:
            label = batch.forces.reshape(forces.shape).double()
        force_errors.append((forces - label).abs().flatten())
        left_over.append(label.abs().flatten())
    energy, force = torch.cat(energy_errors), torch.cat(force_errors)
    # What a baseline leaves over is its own error.
    of_baseline = {"baseline_mae_force_eV_per_A": torch.cat(left_over).mean().item()}
    return {
        **(of_baseline if baseline else {}),
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
    random = np.random.default_rng(1)
    starts = [to_atoms(frame, labels=False) for frame in data.read(frames)]
    truths = [atoms.positions.copy() for atoms in starts]
    for atoms, truth in zip(starts, truths, strict=True):
        atoms.positions += deviation * random.normal(size=truth.shape)
    with Progress() as bar:
        task = bar.add_task(f"relaxing from {deviation} Å", total=len(starts))
        done = relax_many(
            starts, calculator, steps=500, on_done=lambda *_: bar.advance(task)
        )
    moved, raw, gained = np.full((3, len(starts)), np.nan)
    for k, (one, truth) in enumerate(zip(done, truths, strict=True)):
        # Atoms in one place, from where there is no way back, are an exception.
        if isinstance(one, Relaxed):
            moved[k] = mean_displacement(one.atoms.positions, truth)
            raw[k] = np.linalg.norm(one.atoms.positions - truth, axis=1).mean()
            gained[k] = one.energies[0] - one.energies[-1]
        elif not isinstance(one, PhysMLError):
            raise one
    half = len(moved) // 2
    return {
        "mean_A": float(np.nanmean(moved)),
        "median_A": float(np.nanmedian(moved)),
        "raw_mean_A": float(np.nanmean(raw)),
        "mean_of_smallest_A": float(np.nanmean(moved[:half])),
        "mean_of_others_A": float(np.nanmean(moved[half:])),
        "below_0.1_A": float((moved < 0.1).mean()),
        "energy_gained_median_meV": 1000.0 * float(np.nanmedian(gained)),
        "converged": float(
            np.mean([isinstance(one, Relaxed) and one.converged for one in done])
        ),
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
        # Absolute: "./qm9.pt" must not become the shipped one further down.
        path = resolve(options.calculator).absolute()
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
