"""Geometries along reactions and around minima, to be labelled for `reactions.pt`.

    python training/reactions/make_reactions.py rdb7_reactions.h5 \
        --minima qm9_energies.h5 \
        --out reactions_geometries.h5
    physml data label reactions_geometries.h5 reactions.h5 \
        --calculator tblite:GFN2-xTB --processes 2 --precision f4
    physml data split reactions.h5 reactions_split.json --by smiles --test 0.1

Of each reaction: reactant, transition state and product, and jittered structures on
the straight line through reactant and transition state, from one to some way beyond
the other. Of every tenth minimum: displacements of three sizes. What two atoms thrown
into each other would say is left out. Frames of all reactions of one reactant, or of
one molecule, share their ``smiles``, so that a split by it keeps them together.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from rich.progress import track
from scipy.spatial.distance import pdist

from ase_physml.chem.atom_mapping import unmapped
from ase_physml.data.conversion import from_atoms, to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.groups import Reaction, reactions
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import RaggedWriter

# Where on the line, 0 the reactant and 1 the transition state.
ALONG = (0.2, 0.4, 0.6, 0.8, 0.9, 1.1, 1.25)
JITTER = 0.05  # Å, of structures on the line
AROUND = (0.03, 0.08)  # Å, of the transition state and the reactant
MINIMA = (0.05, 0.1, 0.2)  # Å
CLOSEST = 0.6  # Å


def of_reaction(reaction: Reaction, random: np.random.Generator) -> Iterator[Frame]:
    """The known structures, and those between and around them."""
    smiles = unmapped((reaction.reactant.smiles or reaction.name).split(">>")[0])
    for frame in _frames_of(reaction, random):
        yield replace(frame, smiles=smiles)


def _frames_of(reaction: Reaction, random: np.random.Generator) -> Iterator[Frame]:
    known = [reaction.reactant, reaction.product, reaction.saddle]
    yield from (replace(frame, energy=None) for frame in known if frame is not None)
    if reaction.saddle is None:
        return
    first, saddle = to_atoms(reaction.reactant), to_atoms(reaction.saddle)
    minimize_rotation_and_translation(first, saddle)
    line = saddle.positions - first.positions
    for share in ALONG:
        yield _moved(first, share * line, JITTER, random)
    for sigma in AROUND:
        yield _moved(saddle, 0.0, sigma, random)
        yield _moved(first, 0.0, sigma, random)


def of_minimum(frame: Frame, random: np.random.Generator) -> Iterator[Frame]:
    """Displacements of a minimum."""
    smiles = frame.smiles or frame.name or to_atoms(frame).get_chemical_formula()
    for sigma in MINIMA:
        yield replace(_moved(to_atoms(frame), 0.0, sigma, random), smiles=smiles)


def _moved(
    atoms: Atoms, shift: np.ndarray | float, sigma: float, random: np.random.Generator
) -> Frame:
    other = atoms.copy()
    other.positions += shift + sigma * random.normal(size=atoms.positions.shape)
    # Without the name, which says that this is the reactant, say.
    return replace(from_atoms(other), energy=None, forces=None, name=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reactions", type=Path)
    parser.add_argument("--minima", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="of reactions")
    parser.add_argument("--every", type=int, default=10, help="minimum")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    source = f"training/reactions/make_reactions.py from {options.reactions.name}"
    metadata = Metadata(equilibrium=False, source=source)
    with RaggedWriter(options.out, metadata, "f4") as out:
        known = list(reactions(RaggedSet(options.reactions)))[: options.limit]
        for reaction in track(known, description="reactions"):
            out.extend(_sound(of_reaction(reaction, random)))
        if options.minima is not None:
            minima = RaggedSet(options.minima)
            for index in track(range(0, len(minima), options.every), "minima"):
                out.extend(_sound(of_minimum(minima[index], random)))
    print(f"{options.out}: {out.n_frames:,} frames")


def _sound(frames: Iterator[Frame]) -> Iterator[Frame]:
    return (f for f in frames if pdist(f.positions).min(initial=9.9) > CLOSEST)


if __name__ == "__main__":
    main()
