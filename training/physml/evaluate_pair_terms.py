"""Charges, wells and interactions that a potential has learned, beside GFN2-xTB's.

    python training/physml/evaluate_pair_terms.py qm9.pt --data teacher_qm9_test.h5 \
        --dimers dimers_qm9_test.h5 --out pair_terms.json --plot pair_terms.png

Of molecules held out, whose set has GFN2-xTB's charges and dipoles: errors of both, and
where the learned distances of wells lie, of bonded pairs and of pairs more than three
bonds apart. Of dimers held out: energies of interaction, total less both molecules
apart, against GFN2-xTB's, which taught them, by distance.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.data import covalent_radii
from ase.units import Debye
from matplotlib.figure import Figure
from rich.progress import track
from scipy.sparse.csgraph import connected_components, shortest_path

from ase_physml import PhysMLCalculator
from ase_physml.calculators.many import compute_one
from ase_physml.calculators.names import make_calculator
from ase_physml.chem.bonds import bonded_pairs
from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.models.physml.elements import contact_radius, electronegativity

Rows = dict[str, np.ndarray]
DISTANCES = (2.0, 3.0, 4.0, 6.0, 8.0, 10.0)  # Å


def atoms_and_pairs(
    calc: PhysMLCalculator, data: RaggedSet, most: int
) -> tuple[Rows, Rows]:
    """Charges of atoms, and wells of pairs, of the first molecules of a set."""
    atoms_rows, pair_rows, dipoles = [], [], []
    for index in track(range(min(most, len(data))), "molecules"):
        frame = data[index]
        atoms = to_atoms(frame, labels=False)
        found = compute_one(calc, atoms, ["energy", "charges", "dipole"])
        assert frame.charges is not None
        assert frame.dipole is not None
        chi = [electronegativity(z) for z in atoms.numbers]
        atoms_rows.append(np.stack([found["charges"], frame.charges, chi]))
        dipoles.append(np.abs(found["dipole"] - frame.dipole) / Debye)
        pair_rows.append(wells(calc, atoms))
    charges, reference, chi = np.concatenate(atoms_rows, axis=1)
    minimum, bond, contact, steps, depth = np.concatenate(pair_rows, axis=1)
    of_atoms = {"charges": charges, "reference": reference, "chi": np.asarray(chi)}
    of_pairs = {"minimum": minimum, "bond": bond, "contact": contact}
    of_atoms["dipole"] = np.concatenate(dipoles)
    return of_atoms, {**of_pairs, "steps": steps, "depth": depth}


def wells(calc: PhysMLCalculator, atoms: Atoms) -> np.ndarray:
    """Learned distance, sums of both kinds of radii, bonds between, depth: (5, P)."""
    parameters = calc.pair_parameters(atoms)
    first, second = np.triu_indices(len(atoms), 1)
    joined = np.zeros((len(atoms), len(atoms)))
    for i, j in bonded_pairs(atoms):
        joined[i, j] = joined[j, i] = 1.0
    steps = shortest_path(joined, unweighted=True)[first, second]
    covalent = covalent_radii[atoms.numbers]
    contact = np.array([contact_radius(z) for z in atoms.numbers])
    return np.stack(
        [
            parameters.minimum.numpy()[first, second],
            covalent[first] + covalent[second],
            contact[first] + contact[second],
            steps,
            parameters.depth.numpy()[first, second],
        ]
    )


def interactions(calc: PhysMLCalculator, data: RaggedSet) -> Rows:
    """Nearest distance, energy of interaction and GFN2-xTB's, eV, of dimers."""
    reference = make_calculator("tblite:GFN2-xTB")
    rows = []
    for index in track(range(len(data)), "dimers"):
        atoms = to_atoms(data[index], labels=False)
        joined = np.zeros((len(atoms), len(atoms)))
        for i, j in bonded_pairs(atoms):
            joined[i, j] = 1.0
        count, part = connected_components(joined, directed=False)
        if count != 2:
            continue  # a bond was stretched beyond what counts as one
        parts = [atoms[part == k] for k in range(2)]
        apart = atoms.get_all_distances()[part == 0][:, part == 1].min()
        energies = []
        for each in (calc, reference):
            both, *single = (compute_one(each, a)["energy"] for a in [atoms, *parts])
            energies.append(both - sum(single))
        rows.append((apart, *energies))
    distance, found, label = np.array(rows).T
    return {"distance": distance, "found": found, "label": label}


def summary(of_atoms: Rows, of_pairs: Rows, of_dimers: Rows) -> dict[str, object]:
    """Figures of all three."""
    far = of_pairs["steps"] > 3
    bonded = of_pairs["steps"] == 1
    by_distance = {}
    error = np.abs(of_dimers["found"] - of_dimers["label"])
    zero = np.abs(of_dimers["label"])
    for low, high in pairwise(DISTANCES):
        some = (of_dimers["distance"] >= low) & (of_dimers["distance"] < high)
        by_distance[f"{low:g} to {high:g} Å"] = {
            "dimers": int(some.sum()),
            "mae_meV": 1000.0 * float(error[some].mean()),
            "of_zero_meV": 1000.0 * float(zero[some].mean()),
        }
    return {
        "atoms": len(of_atoms["charges"]),
        "mae_charges_e": float(
            np.abs(of_atoms["charges"] - of_atoms["reference"]).mean()
        ),
        "mae_dipole_D": float(of_atoms["dipole"].mean()),
        "bonds_minimum_over_covalent": float(
            np.median(of_pairs["minimum"][bonded] / of_pairs["bond"][bonded])
        ),
        "contacts_minimum_over_van_der_waals": float(
            np.median(of_pairs["minimum"][far] / of_pairs["contact"][far])
        ),
        "contacts_depth_meV": 1000.0 * float(np.median(of_pairs["depth"][far])),
        "dimers": {
            "mae_meV": 1000.0 * float(error.mean()),
            "over_predicting_zero": float(error.mean() / zero.mean()),
            **by_distance,
        },
    }


def plot(of_atoms: Rows, of_pairs: Rows, of_dimers: Rows, out: Path) -> None:
    """Charges, wells and interactions, a panel each."""
    figure = Figure(figsize=(13.0, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    shown = left.scatter(
        of_atoms["reference"], of_atoms["charges"], c=of_atoms["chi"], s=5
    )
    left.axline((0.0, 0.0), slope=1.0, color="black", lw=0.8, ls="--")
    left.set(xlabel="charge, GFN2-xTB (e)", ylabel="learned charge (e)")
    figure.colorbar(shown, ax=left, label="electronegativity (Pauling)")
    for label, some, radius in (
        ("bonded; covalent radii", of_pairs["steps"] == 1, "bond"),
        ("over three bonds apart; van der Waals", of_pairs["steps"] > 3, "contact"),
    ):
        sums = of_pairs[radius][some]
        middle.plot(sums, of_pairs["minimum"][some], ".", ms=3, label=label)
    middle.axline((1.0, 1.0), slope=1.0, color="black", lw=0.8, ls="--")
    middle.set(xlabel="sum of radii (Å)", ylabel="distance of the learned well (Å)")
    middle.legend(fontsize=8)
    for key, label in (("label", "GFN2-xTB"), ("found", "this potential")):
        values = 1000.0 * of_dimers[key]
        right.plot(of_dimers["distance"], values, ".", ms=4, label=label)
    right.set(xlabel="nearest atoms of two molecules (Å)", ylim=(-400.0, 400.0))
    right.set_ylabel("interaction (meV)")
    right.legend(fontsize=8)
    figure.savefig(out, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("potential")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dimers", type=Path, required=True)
    parser.add_argument("--molecules", type=int, default=300)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    calc = PhysMLCalculator(options.potential)
    of_atoms, of_pairs = atoms_and_pairs(
        calc, RaggedSet(options.data), options.molecules
    )
    of_dimers = interactions(calc, RaggedSet(options.dimers))
    found = summary(of_atoms, of_pairs, of_dimers)
    text = json.dumps(found, indent=1)
    print(text)
    options.out.write_text(text + "\n")
    if options.plot is not None:
        plot(of_atoms, of_pairs, of_dimers, options.plot)


if __name__ == "__main__":
    main()
