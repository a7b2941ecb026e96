"""Distances of conformers from DFT geometries, and their cost.

    python training/physchem/evaluate_conformers.py qm9_molecules.h5 \
        --split qm9_molecules.json

Conformers are made from the SMILES of each molecule, with its stereochemistry: from
predicted distances, the same relaxed with a potential, and by ETKDGv3 with MMFF94. The
error of a molecule is the symmetry-aware RMSD of its heavy atoms from the DFT geometry,
that of the best of n conformers. A method that gives no conformer covers nothing, and
is left out of its means; the number is printed. "First" is the error of the one that
the method puts first, "either hand" counts the mirror image of the DFT geometry as
well where the molecule has no stereocentre.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from rdkit.rdBase import BlockLogs
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ase_physml.chem.embed import etkdg_parameters
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.chem.smiles import heavy_atoms, with_hydrogens
from ase_physml.data.index_split import Split
from ase_physml.errors import DataError
from ase_physml.workflows.conformers.embedding import (
    ConformerEnsemble,
    ConformerSettings,
)
from ase_physml.workflows.conformers.generate import conformers_of
from ase_physml.workflows.conformers.selection import RMSD, distinct

Geometries = list[np.ndarray]
Method = Callable[[list[str]], list[Geometries]]
NEAR = (0.5, 0.25)  # Å


@dataclass(frozen=True)
class Truth:
    """A molecule and its DFT geometry; hydrogens lie at the origin and do not count."""

    smiles: str
    positions: np.ndarray
    rmsd: RMSD
    chiral: bool

    def either_hand(self, geometry: np.ndarray) -> float:
        """RMSD, from the mirror image if that is nearer and the same molecule."""
        as_given = self.rmsd(geometry, self.positions)
        if self.chiral:
            return as_given
        mirrored = self.positions * [1.0, 1.0, -1.0]
        return min(as_given, self.rmsd(geometry, mirrored))


def truths(store: MoleculeStore) -> list[Truth]:
    """The molecules of a store whose atoms stand as their SMILES names them."""
    order = store.facts.get("order", "smiles")
    if order != "smiles":
        raise DataError(f"a store in the order {order!r}; make one in that of SMILES")
    heavy = np.split(store.rows["positions"], np.cumsum(store.n_atoms)[:-1])
    found = []
    for smiles, positions in zip(map(str, store.smiles), heavy, strict=True):
        molecule = with_hydrogens(smiles)
        everywhere = np.zeros((molecule.GetNumAtoms(), 3))
        everywhere[heavy_atoms(molecule)] = positions
        chiral = "@" in smiles
        found.append(Truth(smiles, everywhere, RMSD(molecule, polar=False), chiral))
    return found


def ours(
    smiles: list[str],
    *,
    model: str,
    relax: str | None,
    settings: ConformerSettings,
    slab: int,
) -> list[Geometries]:
    """Conformers from predicted distances; failures are printed."""
    found: list[Geometries] = []
    for start in track(range(0, len(smiles), slab), f"ours, {relax}"):
        some = smiles[start : start + slab]
        for text, one in zip(
            some, conformers_of(some, model, relax, settings), strict=True
        ):
            if isinstance(one, ConformerEnsemble):
                found.append([atoms.positions for atoms in one.structures])
                for reason in one.dropped:
                    print(f"{text}: {reason}")
            else:
                found.append([])
                print(one)
    return found


def without_model(smiles: list[str], *, n: int, seed: int) -> list[Geometries]:
    """Embeddings, n of each, relaxed with MMFF94, in the order of energy."""
    return [_without_model(text, n, seed) for text in track(smiles, "ETKDGv3 + MMFF94")]


def _without_model(smiles: str, n: int, seed: int) -> Geometries:
    molecule = with_hydrogens(smiles)
    with BlockLogs():
        for strict, anywhere in ((True, False), (False, False), (False, True)):
            settings = etkdg_parameters(seed, strict=strict, random_start=anywhere)
            if rdDistGeom.EmbedMultipleConfs(molecule, n, settings):
                break
        else:
            return []
        energies = _mmff(molecule)
    order = np.argsort(energies)
    geometries = [one.GetPositions() for one in molecule.GetConformers()]
    return [geometries[k] for k in order]


def _mmff(molecule: Chem.Mol) -> np.ndarray:
    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
        return np.zeros(molecule.GetNumConformers())
    done = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(molecule, maxIters=500)
    return np.array([energy for _, energy in done])


def measure(
    method: Method, known: list[Truth], n: int, threshold: float
) -> dict[str, float]:
    """Errors (Å), coverage, distinct conformers and seconds per molecule."""
    began = perf_counter()
    found = method([truth.smiles for truth in known])
    seconds = (perf_counter() - began) / len(known)
    best, first, either, counts = [], [], [], []
    for truth, geometries in zip(known, found, strict=True):
        errors = [truth.rmsd(one, truth.positions) for one in geometries] or [np.nan]
        best.append(min(errors))
        first.append(errors[0])
        either.append(min(map(truth.either_hand, geometries), default=np.nan))
        counts.append(len(distinct(geometries, truth.rmsd, threshold, n)))
    errors_ = np.array(best)
    covered = {f"below {a} A": float((errors_ < a).mean()) for a in NEAR}
    return {
        "mean A": float(np.nanmean(errors_)),
        "median A": float(np.nanmedian(errors_)),
        "first A": float(np.nanmean(first)),
        "either hand A": float(np.nanmean(either)),
        **covered,
        "distinct": float(np.mean(counts)),
        "s/molecule": seconds,
        "failed": int(np.isnan(errors_).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--part", choices=("val", "test"), default="test")
    parser.add_argument("--limit", type=int, default=60, help="of molecules")
    parser.add_argument("--model", default="physchem_qm9.pt")
    parser.add_argument("--relax", default="qm9.pt")
    parser.add_argument("-n", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slab", type=int, default=16, help="molecules at a time")
    parser.add_argument("--out", type=Path, help="JSON of the table")
    options = parser.parse_args()
    store, split = MoleculeStore.load(options.store), Split.load(options.split)
    if split.size != len(store):
        raise DataError(
            f"{options.split}: made for {split.size:,} molecules, but the store has "
            f"{len(store):,}; make a split of this store"
        )
    part = getattr(split, options.part)
    drawn = np.random.default_rng(options.seed).permutation(part)[: options.limit]
    known = truths(store.select(drawn))
    rows: dict[str, dict[str, float]] = {}
    for n in options.n:
        settings = ConformerSettings(n, options.seed)
        mine = partial(ours, model=options.model, settings=settings, slab=options.slab)
        methods: dict[str, Method] = {
            "ETKDGv3 + MMFF94": partial(without_model, n=n, seed=options.seed),
            "predicted": partial(mine, relax=None),
            f"predicted + {options.relax}": partial(mine, relax=options.relax),
        }
        for name, method in methods.items():
            rows[f"{name}, n={n}"] = measure(method, known, n, settings.threshold)
            print(f"{name}, n={n}", rows[f"{name}, n={n}"], flush=True)
    table = Table("", *next(iter(rows.values())))
    for name, row in rows.items():
        table.add_row(name, *(f"{value:.3f}" for value in row.values()))
    Console(width=140).print(table)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
