"""Stationary points of reactions, with barriers as differences of electronic energies.

    python training/make_barriers.py rdb7_reactions.h5 --zero-point zero_point.csv \
        --out stationary.h5
    physml data label stationary.h5 reactions_delta.h5 --less tblite:GFN2-xTB \
        --precision f4 --processes 2

The published barriers hold zero-point energy, which comes off here: energies are 0 of a
reactant, the barrier of its saddle where both zero-point energies are known, and
unknown otherwise. All structures are stationary, so that what a baseline leaves over of
their forces is known of every one. ``smiles`` is the reactant's: a split by it keeps
all reactions of one reactant together.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from make_reactions import unmapped
from zero_point import read

from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.ragged import RaggedSet
from ase_physml.data.reactions import Reaction, reactions
from ase_physml.data.writer import RaggedWriter


def frames_of(reaction: Reaction, zero_point: dict[str, float]) -> Iterator[Frame]:
    """Reactant, saddle and product; energies relative to the reactant's."""
    smiles = unmapped((reaction.reactant.smiles or "").split(">>")[0])
    saddle = reaction.saddle
    barrier = None
    if saddle is not None and saddle.energy is not None:
        here = zero_point.get(f"{reaction.name}/r")
        there = zero_point.get(f"{reaction.name}/ts")
        if here is not None and there is not None:
            barrier = saddle.energy - (there - here)
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
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    zero_point = {
        row["name"]: energy
        for row in read(options.zero_point)
        if row["calculator"] == options.calculator
        # Not a failure, which is NaN.
        if (energy := float(row["zero_point_eV"])) > 0
    }
    data = RaggedSet(options.reactions)
    metadata = Metadata(
        level_of_theory="CCSD(T)-F12a/cc-pVDZ-F12 at wB97X-D3/def2-TZVP structures",
        energy_kind="relative electronic energy: the reactant's is 0",
        equilibrium=True,
        source=f"training/make_barriers.py from {options.reactions.name}, less "
        f"zero-point energies by {options.calculator}",
    )
    with RaggedWriter(options.out, metadata) as out:
        for reaction in reactions(data):
            out.extend(frames_of(reaction, zero_point))
    print(f"{options.out}: {out.n_frames:,} frames")


if __name__ == "__main__":
    main()
