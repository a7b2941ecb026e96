"""Stationary points of reactions, with barriers as differences of electronic energies.

    python training/delta/make_barriers.py rdb7_reactions.h5 \
        --zero-point zero_point.csv \
        --fit --out stationary.h5
    physml data label stationary.h5 reactions_delta.h5 --less tblite:GFN2-xTB \
        --precision f4 --processes 2

The published barriers hold zero-point energy, which comes off here: energies are 0 of a
reactant, and the barrier of its saddle where both zero-point energies are known, or
with ``--fit`` estimated: by a linear fit of those that are known to the bonds that form
and break. Otherwise they are unknown. All structures are stationary, so that what a
baseline leaves over of their forces is known of every one. ``smiles`` is the
reactant's: a split by it keeps all reactions of one reactant together.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from ase.data import covalent_radii
from scipy.spatial.distance import pdist, squareform
from scipy.special import expit
from zero_point import read

from ase_physml.chem.atom_mapping import unmapped
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.groups import Reaction, reactions
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import RaggedWriter

ELEMENTS = (1, 6, 7, 8)
# In sums of covalent radii: where a bond is half there.
HALVES, WIDTH = (1.0, 1.15, 1.3, 1.5), 0.05


def bond_counts(frame: Frame) -> np.ndarray:
    """Smooth numbers of bonds of each pair of elements, of four lengths."""
    radii = covalent_radii[frame.numbers]
    distance = squareform(pdist(frame.positions)) / (radii[:, None] + radii)
    np.fill_diagonal(distance, np.inf)
    counts = []
    for first, second in combinations_with_replacement(ELEMENTS, 2):
        pairs = (frame.numbers[:, None] == first) & (frame.numbers == second)
        counts += [expit((half - distance[pairs]) / WIDTH).sum() for half in HALVES]
    return np.array(counts)


def changes_of(reaction: Reaction) -> np.ndarray | None:
    """Change of `bond_counts` from the reactant to the saddle, and a constant."""
    if reaction.saddle is None:
        return None
    change = bond_counts(reaction.saddle) - bond_counts(reaction.reactant)
    return np.append(change, 1.0)


def known_changes(
    found: Iterable[Reaction], zero_point: dict[str, float]
) -> dict[str, float]:
    """Zero-point energy of the saddle less that of the reactant, by reaction, eV."""
    return {
        r.name: zero_point[f"{r.name}/ts"] - zero_point[f"{r.name}/r"]
        for r in found
        if {f"{r.name}/ts", f"{r.name}/r"} <= zero_point.keys()
    }


def with_estimates(found: list[Reaction], known: dict[str, float]) -> dict[str, float]:
    """Known values, and a fit of them for all others; prints how good it is."""
    features = {r.name: changes_of(r) for r in found}
    some = [name for name in known if features[name] is not None]
    x = np.array([features[name] for name in some])
    y = np.array([known[name] for name in some])
    held = np.arange(len(some)) % 5 == 0
    error = x[held] @ ridge(x[~held], y[~held]) - y[held]
    print(
        f"zero-point energy to the saddle: {y.mean():.3f} eV on average, deviation "
        f"{y.std():.3f}; a fit is {np.abs(error).mean():.3f} off on every fifth"
    )
    weights = ridge(x, y)
    estimated = {n: float(f @ weights) for n, f in features.items() if f is not None}
    return estimated | known


def ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights of a linear fit, a little bounded."""
    found: np.ndarray = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)
    return found


def frames_of(reaction: Reaction, changes: dict[str, float]) -> Iterator[Frame]:
    """Reactant, saddle and product; energies relative to the reactant's."""
    smiles = unmapped((reaction.reactant.smiles or "").split(">>")[0])
    saddle = reaction.saddle
    barrier = None
    if saddle is not None and saddle.energy is not None and reaction.name in changes:
        barrier = saddle.energy - changes[reaction.name]
    reactant = 0.0 if barrier is not None else None
    yield replace(reaction.reactant, energy=reactant, smiles=smiles)
    if saddle is not None:
        yield replace(saddle, energy=barrier, smiles=smiles)
    yield replace(reaction.product, energy=None, smiles=smiles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reactions", type=Path)
    parser.add_argument("--zero-point", type=Path, required=True)
    parser.add_argument("--calculator", default="tblite:GFN2-xTB", help="of the table")
    parser.add_argument("--fit", action="store_true", help="estimate what is missing")
    parser.add_argument(
        "--known-only", action="store_true", help="leave out other reactions"
    )
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    zero_point = {
        row["name"]: energy
        for row in read(options.zero_point)
        if row["calculator"] == options.calculator
        # Not a failure, which is NaN.
        if (energy := float(row["zero_point_eV"])) > 0
    }
    found = list(reactions(RaggedSet(options.reactions)))
    changes = known_changes(found, zero_point)
    if options.known_only:
        found = [r for r in found if r.name in changes]
    if options.fit:
        changes = with_estimates(found, changes)
    metadata = Metadata(
        level_of_theory="CCSD(T)-F12//wB97X-D3",
        energy_kind="relative electronic energy: the reactant's is 0",
        equilibrium=True,
        extra={"minima": False},
        source=f"training/delta/make_barriers.py from {options.reactions.name}, less "
        f"zero-point energies by {options.calculator}"
        + (" and a fit to some of them" if options.fit else ""),
    )
    with RaggedWriter(options.out, metadata) as out:
        for reaction in found:
            out.extend(frames_of(reaction, changes))
    print(f"{options.out}: {out.n_frames:,} frames")


if __name__ == "__main__":
    main()
