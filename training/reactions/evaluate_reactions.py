"""Measure a potential on held-out reactions.

    python training/reactions/evaluate_reactions.py reactions.pt --data reactions.h5 \
        --split training/reactions/splits/reactions.json --reference rdb7_reactions.h5 \
        --out reactions.json --plot reactions.png

Of the reactions whose reactant is in the test part: errors of energies and forces on
all their frames, and on reactants, saddles and products alone; errors of barriers at
the given geometries, against the labels and against the CCSD(T)-F12 barriers in the
reference set (zero-point corrected, which the labels are not); bands between relaxed
ends, their barriers against those of the method of the labels at the same two
structures; and what the spread of a committee says.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from rich.progress import track

from ase_physml import PhysMLCalculator
from ase_physml.calculators.names import make_calculator
from ase_physml.chem.bonds import bonded_pairs
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.groups import Reaction, reactions
from ase_physml.data.index_split import Split
from ase_physml.workflows.alignment import rmsd
from ase_physml.workflows.paths.neb import Search, find_paths
from ase_physml.workflows.paths.reaction_path import ReactionPath
from ase_physml.workflows.plots import new_figure, save_figure
from ase_physml.workflows.uncertainty import Spread, measure_spread

Array = npt.NDArray[np.float64]
Numbers = dict[str, float]
BATCH = 64


def held_out(data: RaggedSet, test: npt.NDArray[np.int64]) -> list[Reaction]:
    """Reactions whose frames are of the test part, those with a known saddle."""
    known = set(test.tolist())
    found = (r for r in reactions(data) if r.index[0] in known)
    return [r for r in found if r.saddle is not None]


def frame_errors(
    calculator: PhysMLCalculator, data: RaggedSet, frames: npt.NDArray[np.int64]
) -> Numbers:
    """MAE of energies and of force components."""
    energy, forces = [], []
    order = frames[np.argsort(data.n_atoms[frames], kind="stable")]
    for start in track(range(0, len(order), BATCH), "frames"):
        some = list(data.read(order[start : start + BATCH]))
        for frame, found in zip(some, predict(calculator, some), strict=True):
            energy.append(abs(found["energy"] - frame.energy))
            forces.append(np.abs(found["forces"] - frame.forces).ravel())
    return {
        "frames": len(energy),
        "mae_energy_meV": 1000.0 * float(np.mean(energy)),
        "mae_force_eV_per_A": float(np.concatenate(forces).mean()),
    }


def predict(calculator: PhysMLCalculator, frames: list[Frame]) -> list[dict[str, Any]]:
    """Results of frames, in one batch."""
    return calculator.calculate_many([to_atoms(f, labels=False) for f in frames])


def barriers(
    calculator: PhysMLCalculator, found: list[Reaction], reference: RaggedSet
) -> Numbers:
    """Errors of barriers at the structures of the set."""
    ccsd = {r.name: r.saddle.energy for r in reactions(reference) if r.saddle}
    ours, labels, best = [], [], []
    for start in track(range(0, len(found), BATCH // 2), "barriers"):
        some = found[start : start + BATCH // 2]
        ends = predict(calculator, [r.reactant for r in some])
        tops = predict(calculator, [r.saddle for r in some if r.saddle])
        for reaction, end, top in zip(some, ends, tops, strict=True):
            assert reaction.saddle is not None
            top_label, end_label = reaction.saddle.energy, reaction.reactant.energy
            assert top_label is not None
            assert end_label is not None
            ours.append(top["energy"] - end["energy"])
            labels.append(top_label - end_label)
            best.append(ccsd[reaction.name])
    predicted, label, high = np.array(ours), np.array(labels), np.array(best)
    return {
        "reactions": len(predicted),
        "mae_to_label_eV": mae(predicted, label),
        "mae_to_ccsd_eV": mae(predicted, high),
        "label_to_ccsd_eV": mae(label, high),
        "mean_barrier_of_label_eV": float(label.mean()),
    }


def bands(
    calculator: PhysMLCalculator, found: list[Reaction], labels: str, search: Search
) -> Numbers:
    """Bands between relaxed ends: do they end at the known saddle?"""
    ends = [(to_atoms(r.reactant), to_atoms(r.product)) for r in found]
    paths = find_paths(ends, calculator, search)
    reference = make_calculator(labels)
    near, error, converged = [], [], []
    for reaction, path in zip(found, paths, strict=True):
        if not isinstance(path, ReactionPath):
            near.append(np.inf)
            converged.append(False)
            continue
        converged.append(path.converged)
        top = path.images[path.saddle]
        assert reaction.saddle is not None
        near.append(rmsd(top.positions, reaction.saddle.positions))
        if path.converged:
            true = energy(top, reference) - energy(path.images[0], reference)
            error.append(abs(path.barrier - true))
    return {
        "bands": len(found),
        "converged": float(np.mean(converged)),
        "saddle_within_0.3_A": float(np.mean(np.array(near) < 0.3)),
        "mae_barrier_eV": float(np.mean(error)),
        "median_error_barrier_eV": float(np.median(error)),
    }


def in_one_piece(frame: Frame) -> bool:
    """All atoms hang together."""
    atoms = to_atoms(frame, labels=False)
    reached, pairs = {0}, bonded_pairs(atoms)
    for _ in atoms:
        reached |= {k for pair in pairs if reached.intersection(pair) for k in pair}
    return len(reached) == len(atoms)


def energy(atoms: Atoms, calculator: Any) -> float:
    """Energy of a copy, eV."""
    copy = atoms.copy()
    copy.calc = calculator
    return float(copy.get_potential_energy())


def mae(one: Array, other: Array) -> float:
    """Mean absolute difference."""
    return float(np.abs(one - other).mean())


def plot_spread(spread: Spread, out: Path) -> None:
    """Errors of forces against what a committee expects of them, as a PNG.

    Left every atom; right means over atoms of equal spread: those of a calibrated
    committee lie on the diagonal.
    """
    figure = new_figure()
    left, right = figure.subplots(1, 2)
    std, errors = spread.force_std, spread.force_errors
    left.loglog(std, errors, ".", ms=2, alpha=0.3, rasterized=True)
    order = np.array_split(np.argsort(std), 20)
    expected = [np.sqrt(np.mean(std[some] ** 2)) for some in order]
    found = [np.sqrt(np.mean(errors[some] ** 2)) for some in order]
    right.loglog(expected, found, "o-")
    for axes in (left, right):
        low, high = float(std.min()), float(std.max())
        axes.plot([low, high], [low, high], color="black", lw=0.8, ls="--")
        axes.set(xlabel="spread of the force on an atom (eV/Å)")
    left.set(ylabel="error of the force (eV/Å)")
    right.set(ylabel="its root mean square (eV/Å)")
    rank = spread.uncertainty()["rank_correlation_forces"]
    save_figure(figure, out, f"rank correlation {rank:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("potential")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--part", choices=("test", "val"), default="test")
    parser.add_argument("--reference", type=Path, help="with CCSD barriers")
    parser.add_argument("--labels", default="tblite:GFN2-xTB", help="their method")
    parser.add_argument("--bands", type=int, default=48)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--plot", type=Path, help="of the spread of a committee")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = RaggedSet(options.data)
    test = getattr(Split.load(options.split), options.part)
    calculator = PhysMLCalculator(options.potential)
    random = np.random.default_rng(0)
    found = held_out(data, test)
    groups = {r.reactant.smiles for r in found}
    smiles = data.column("smiles")
    on_paths = np.array([i for i in test if text(smiles[i]) in groups])
    result: dict[str, Any] = {"calculator": options.potential, "part": options.part}
    names = data.column("name")
    known = np.array([i for i in on_paths if text(names[i])])
    result["paths"] = frame_errors(calculator, data, on_paths)
    result["stationary"] = frame_errors(calculator, data, known)
    if options.reference is not None:
        reference = RaggedSet(options.reference)
        result["barriers"] = barriers(calculator, found, reference)
    if options.bands:
        # Where the product is several molecules, sets say nothing of where they lie,
        # nor of the order of their atoms.
        whole = [r for r in found if in_one_piece(r.product)]
        some = random.choice(len(whole), min(options.bands, len(whole)), replace=False)
        search = Search(steps=options.steps, any_domain=True)
        chosen = [whole[i] for i in sorted(some)]
        result["bands"] = bands(calculator, chosen, options.labels, search)
    if calculator.is_committee:
        some = random.choice(on_paths, min(3000, len(on_paths)), replace=False)
        spread = measure_spread(calculator, data, some.tolist())
        measured = spread.uncertainty()
        result["spread"] = {k: v for k, v in measured.items() if "rank" in k}
        if options.plot is not None:
            plot_spread(spread, options.plot)
    written = json.dumps(result, indent=2)
    print(written)
    if options.out is not None:
        options.out.write_text(written + "\n")


def text(value: Any) -> str:
    """A SMILES as the set stores it."""
    return value.decode() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    main()
