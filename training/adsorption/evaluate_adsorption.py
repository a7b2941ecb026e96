"""Measure a potential on held-out adsorption energies and structures.

    python training/adsorption/evaluate_adsorption.py adsorption.pt \
        --data adsorption.h5 \
        --split training/adsorption/splits/adsorption_random.json \
        --out adsorption_random.json

Errors of the energy of adsorption, MAE in eV, of the test part:

- at the relaxed structure of DFT: what the potential says of it (``direct``, if its
  energies are of adsorption), its energy less those of slab and molecule, and the
  energies of the clean slabs, which should then be zero;
- after relaxation with the atoms held that DFT held, from two starts: the free atoms
  ``displaced`` by Gaussian noise of 0.1 Å; and the molecule ``lifted`` by 0.3 Å from a
  clean slab, in its shape on the surface;
- of a linear fit to the training part: the adsorbate's composition and the metal.

And ΔP in Å: the distance of the relaxed from the structure of DFT, mean over the free
atoms, beside that of the start. Any ASE calculator can stand in for the potential.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from adsorptions import Adsorption, adsorptions
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.geometry import find_mic
from rich.progress import track

from ase_physml import PhysMLCalculator, relax_many
from ase_physml.calculators.names import make_calculator
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.workflows.relax import Relaxed

Array = npt.NDArray[np.float64]
Numbers = dict[str, float]
Start = Callable[[Atoms, Atoms], Atoms]

NOISE, LIFT = 0.1, 0.3  # Å
BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calculator", help="potential, or any calculator")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--part", choices=("test", "val"), default="test")
    parser.add_argument("--structures", type=int, default=60, help="to relax")
    parser.add_argument("--fmax", type=float, default=0.03)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data, split = RaggedSet(options.data), Split.load(options.split)
    found = adsorptions(data)
    part = set(getattr(split, options.part).tolist())
    tested = [one for one in found if one.index in part]
    fitted = [one for one in found if one.index in set(split.train.tolist())]
    calculator = make_calculator(options.calculator)
    result: dict[str, Any] = {
        "calculator": options.calculator,
        "split": options.split.stem,
        "part": options.part,
        "structures": len(tested),
        "spread_eV": float(np.std([one.energy for one in tested])),
        "baselines": baselines(data, fitted, tested),
        "at_the_structure_of_dft": at_rest(calculator, data, tested),
    }
    chosen = np.random.default_rng(0).permutation(len(tested))[: options.structures]
    some = [tested[i] for i in sorted(chosen)]
    for name, start in {"displaced": displaced(), "lifted": lifted}.items():
        result[name] = relaxed(calculator, data, some, start, options)
    text = json.dumps(result, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


def baselines(
    data: RaggedSet, fitted: list[Adsorption], tested: list[Adsorption]
) -> Numbers:
    """MAE in eV of the mean of the training part, and of a linear fit to it."""
    label = np.array([one.energy for one in fitted])
    truth = np.array([one.energy for one in tested])
    metals = sorted({one.metal for one in [*fitted, *tested]})

    def features(some: list[Adsorption]) -> Array:
        counts = [np.bincount(data[one.gas].numbers, minlength=20) for one in some]
        is_metal = [[float(one.metal == m) for m in metals] for one in some]
        return np.hstack([np.array(counts, dtype=float), is_metal])

    # Of least norm: a metal nobody has seen is an average one.
    fit, *_ = np.linalg.lstsq(features(fitted), label - label.mean(), rcond=1e-9)
    predicted = features(tested) @ fit + label.mean()
    return {
        "mae_of_mean_eV": mae(np.full_like(truth, label.mean()), truth),
        "mae_of_composition_and_metal_eV": mae(predicted, truth),
    }


def at_rest(
    calculator: Calculator, data: RaggedSet, tested: list[Adsorption]
) -> Numbers:
    """MAE in eV at the structures of DFT."""
    truth = np.array([one.energy for one in tested])
    both = energies(calculator, data, [one.index for one in tested])
    apart = references(calculator, data, tested)
    result = {"mae_by_difference_eV": mae(both - apart, truth)}
    if "adsorption" in data.metadata.energy_kind:
        result |= {"mae_direct_eV": mae(both, truth)}
        result |= {"median_error_direct_eV": float(np.median(np.abs(both - truth)))}
        # By convention they are zero.
        slabs = energies(calculator, data, sorted({one.slab for one in tested}))
        result |= {
            "clean_slabs_lowest_eV": float(slabs.min()),
            "clean_slabs_highest_eV": float(slabs.max()),
        }
    return result


def relaxed(
    calculator: Calculator,
    data: RaggedSet,
    some: list[Adsorption],
    start: Start,
    options: argparse.Namespace,
) -> Numbers:
    """MAE in eV and ΔP in Å after relaxation from a start."""
    truths = [to_atoms(data[one.index]) for one in some]
    slabs = [to_atoms(data[one.slab]) for one in some]
    starts = [start(*pair) for pair in zip(truths, slabs, strict=True)]
    done = relax_many(
        starts,
        calculator,
        fmax=options.fmax,
        steps=options.steps,
        batch_size=BATCH,
        on_done=lambda index, _: print(f"relaxed {index}", end="\r", flush=True),
    )
    kept = [k for k, one in enumerate(done) if isinstance(one, Relaxed)]
    ends = [one for one in done if isinstance(one, Relaxed)]
    before = [shift(starts[k], truths[k]) for k in kept]
    after = [shift(one.atoms, truths[k]) for k, one in zip(kept, ends, strict=True)]
    measured = [some[k] for k in kept]
    energy = np.array([one.energies[-1] for one in ends])
    label = np.array([one.energy for one in measured])
    apart = references(calculator, data, measured)
    result = {
        "structures": len(some),
        "failed": len(some) - len(kept),
        "converged": float(np.mean([one.converged for one in ends])),
        "steps": float(np.mean([one.steps for one in ends])),
        "displacement_of_start_A": float(np.mean(before)),
        "displacement_A": float(np.mean(after)),
        "median_displacement_A": float(np.median(after)),
        "mae_by_difference_eV": mae(energy - apart, label),
    }
    if "adsorption" in data.metadata.energy_kind:
        result["mae_direct_eV"] = mae(energy, label)
    return result


def displaced() -> Start:
    """Free atoms moved by Gaussian noise, another one each time."""
    random = np.random.default_rng(1)

    def start(truth: Atoms, _slab: Atoms) -> Atoms:
        atoms: Atoms = truth.copy()
        moved = NOISE * random.normal(size=atoms.positions.shape)
        atoms.positions[free(atoms)] += moved[free(atoms)]
        return atoms

    return start


def lifted(truth: Atoms, slab: Atoms) -> Atoms:
    """The molecule above a slab that does not know of it."""
    atoms: Atoms = truth.copy()
    n = len(slab)
    # Where the slab's atoms are among images is of no matter to anyone but ΔP.
    moved, _ = find_mic(slab.positions - truth.positions[:n], truth.cell, truth.pbc)
    positions = truth.positions.copy()
    positions[:n] += moved
    positions[n:, 2] += LIFT
    atoms.set_positions(positions, apply_constraint=False)
    return atoms


def free(atoms: Atoms) -> npt.NDArray[np.bool_]:
    """Atoms that nothing holds."""
    mask = np.ones(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        mask[constraint.index] = False
    return mask


def shift(atoms: Atoms, truth: Atoms) -> float:
    """Mean distance of the free atoms from where they should be, Å."""
    apart = atoms.positions - truth.positions
    _, lengths = find_mic(apart, truth.cell, truth.pbc)
    return float(lengths[free(truth)].mean())


def references(
    calculator: Calculator, data: RaggedSet, some: list[Adsorption]
) -> Array:
    """Energies of slab and molecule apart by the calculator, eV."""
    frames = sorted({k for one in some for k in (one.slab, one.gas)})
    known = dict(zip(frames, energies(calculator, data, frames), strict=True))
    return np.array([known[one.slab] + known[one.gas] for one in some])


def energies(calculator: Calculator, data: RaggedSet, frames: Sequence[int]) -> Array:
    """Energies of frames in eV."""
    structures = [
        to_atoms(frame, labels=False) for frame in data.read(np.asarray(frames))
    ]
    found: list[float] = []
    for start in track(range(0, len(structures), BATCH), "energies"):
        some = structures[start : start + BATCH]
        if isinstance(calculator, PhysMLCalculator):
            found += [one["energy"] for one in calculator.calculate_many(some)]
            continue
        for atoms in some:
            atoms.calc = calculator
            found.append(float(atoms.get_potential_energy()))
    return np.array(found)


def mae(one: Array, other: Array) -> float:
    """Mean absolute difference."""
    return float(np.abs(one - other).mean())


if __name__ == "__main__":
    main()
