"""Conformers against plain embeddings, both relaxed: how many, and the lowest energy.

    python benchmarks/conformer_minima.py --out benchmarks/results/conformer_minima.json

`generate_conformers` with n conformers, and n embeddings of RDKit's ETKDGv3 relaxed to
the same forces with the same calculator; copies are told apart alike in both. The
molecules have hydrogen bonds that rotamers of OH and NH decide about.
"""

import argparse
import json
import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.table import Table

from ase_physml import generate_conformers
from ase_physml.calculators.names import make_calculator
from ase_physml.chem.embed import embed, etkdg_parameters
from ase_physml.chem.smiles import structure_of, with_hydrogens
from ase_physml.workflows.conformers.embedding import ConformerSettings
from ase_physml.workflows.conformers.selection import RMSD, distinct
from ase_physml.workflows.relax import Relaxed
from ase_physml.workflows.relax_many import relax_many

MOLECULES = ("C[C@H](O)CN", "NCC(=O)O", "C[C@H](O)C(=O)O", "OCC(O)CO")


def ours(smiles: str, relax: str, settings: ConformerSettings) -> list[float]:
    """Energies of our conformers, eV, ascending."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = generate_conformers(smiles, settings.n, relax=relax, seed=settings.seed)
    return [atoms.get_potential_energy() for atoms in found]


def embeddings(smiles: str, relax: str, settings: ConformerSettings) -> list[float]:
    """The same of embeddings."""
    molecule = with_hydrogens(smiles)
    starts = embed(molecule, etkdg_parameters(settings.seed), settings.n)
    outcomes = relax_many(
        [structure_of(molecule, positions) for positions in starts],
        make_calculator(relax),
        fmax=settings.fmax,
        steps=settings.steps,
    )
    relaxed = [one for one in outcomes if isinstance(one, Relaxed)]
    relaxed.sort(key=lambda one: one.energies[-1])
    energies = [one.energies[-1] for one in relaxed]
    geometries = [one.atoms.positions for one in relaxed]
    rmsd = RMSD(molecule)
    kept = distinct(geometries, rmsd, settings.threshold, settings.n, energies)
    return [energies[k] for k in kept]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("smiles", nargs="*", default=MOLECULES)
    parser.add_argument("-n", type=int, default=20)
    parser.add_argument("--relax", default="tblite:GFN2-xTB")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, help="JSON of the table")
    options = parser.parse_args()
    rows = []
    for smiles in options.smiles:
        for seed in options.seeds:
            settings = ConformerSettings(options.n, seed)
            row: dict[str, str | float] = {"smiles": smiles, "seed": seed}
            for name, method in (("ours", ours), ("ETKDGv3", embeddings)):
                began = perf_counter()
                energies = method(smiles, options.relax, settings)
                row[f"{name} s"] = round(perf_counter() - began, 1)
                row[f"{name} number"] = len(energies)
                row[f"{name} lowest eV"] = float(np.min(energies))
            missed = float(row["ours lowest eV"]) - float(row["ETKDGv3 lowest eV"])
            row["ours above ETKDGv3 meV"] = round(1000 * missed, 2)
            rows.append(row)
            print(row, flush=True)
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=140).print(table)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
