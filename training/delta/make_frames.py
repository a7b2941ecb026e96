"""Structures off equilibrium for fast potentials, to be labelled by accurate ones.

    python training/delta/make_frames.py qm9_delta.h5 \
        --split training/splits/qm9_energies.json --reactions reactions_delta.h5 \
        --reactions-split training/delta/splits/reactions_delta.json --count 300000 \
        --out frames.h5
    physml data label frames.h5 teacher.h5 --calculator qm9_delta.pt --processes 2 \
        --precision f4

Made of the molecules of one part of a split, each kind in its share: thermal motion in
the modes of a generic force field at 300 to 1,500 K; pulled bonds; rotated groups;
pressed as a whole; two molecules 2 to 10 Å apart; and, with a set of reactions,
structures between their ends (IDPP) and around their saddles. Names say which.
``smiles`` is that of the molecule, or its name, so that a split by it keeps its frames
together. Labels of a committee come with its spread: large ones mark frames that it
does not know.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.build import minimize_rotation_and_translation
from ase.data import covalent_radii
from ase.mep import NEB
from rich.progress import track
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist, pdist
from scipy.spatial.transform import Rotation

from ase_physml.chem.bonds import bonded_pairs
from ase_physml.data.conversion import from_atoms, to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.groups import Reaction, reactions
from ase_physml.data.index_split import Split
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import RaggedWriter
from ase_physml.training.valence import ValenceField

Random = np.random.Generator
Move = Callable[[Atoms, Random], Atoms | None]

TEMPERATURES = (300.0, 1500.0)  # K
PULLED = (0.1, 1.5)  # Å
PRESSED = (0.75, 1.02)  # of all distances
SHAKEN = 0.15  # Å at most, on top of it
APART = (2.0, 10.0)  # Å between the nearest atoms of two molecules
JITTER = 0.03  # Å, on top of what moves a group as a whole
CLOSEST = 0.65  # of the sum of covalent radii: what is nearer is left out
ALONG_SADDLE = (0.6, 1.4)  # of the way from an end to the saddle, and beyond


def thermal(
    atoms: Atoms, random: Random, temperatures: tuple[float, float] = TEMPERATURES
) -> Atoms:
    """Displaced in the modes of a generic force field, classically."""
    positions = torch.tensor(atoms.positions)[None]
    radii = torch.tensor(covalent_radii[atoms.numbers])[None]
    field = ValenceField(positions, torch.tensor(atoms.numbers)[None], radii)
    stiffness, modes = np.linalg.eigh(field.hessian()[0].numpy())
    energy = units.kB * random.uniform(*temperatures)
    # The six lowest move the molecule as a whole.
    sizes = np.sqrt(energy / np.maximum(stiffness[6:], 0.3))
    moved: Atoms = atoms.copy()
    shift = modes[:, 6:] @ (sizes * random.normal(size=len(sizes)))
    moved.positions += shift.reshape(-1, 3)
    return moved


def pulled(atoms: Atoms, random: Random) -> Atoms | None:
    """Structure with a bond outside rings longer, by up to what breaks it."""
    cut = severed(atoms, random)
    if cut is None:
        return None
    (fixed, first), side = cut
    axis = atoms.positions[first] - atoms.positions[fixed]
    moved = jittered(atoms, random)
    shift = random.uniform(*PULLED) * axis / np.linalg.norm(axis)
    moved.positions[side] += shift
    return moved


def rotated(atoms: Atoms, random: Random) -> Atoms | None:
    """Structure with one part turned about a bond outside rings."""
    cut = severed(atoms, random, terminal=False)
    if cut is None:
        return None
    (fixed, first), side = cut
    centre = atoms.positions[first]
    axis = centre - atoms.positions[fixed]
    axis = axis / np.linalg.norm(axis) * random.uniform(0.0, 2 * np.pi)
    moved = atoms.copy()
    turn = Rotation.from_rotvec(axis)
    moved.positions[side] = centre + turn.apply(atoms.positions[side] - centre)
    return jittered(moved, random)


def pressed(atoms: Atoms, random: Random) -> Atoms:
    """Structure with all distances shorter, and noise: what nobody may fall into."""
    moved: Atoms = atoms.copy()
    moved.positions *= random.uniform(*PRESSED)
    moved.positions += random.uniform(0.0, SHAKEN) * random.normal(size=(len(atoms), 3))
    return moved


def severed(
    atoms: Atoms, random: Random, terminal: bool = True
) -> tuple[tuple[int, int], np.ndarray] | None:
    """A bond whose ends nothing else joins, and the atoms on its second end's side.

    With ``terminal`` false, both sides have atoms that a rotation moves.
    """
    bonds = sorted(bonded_pairs(atoms))
    for k in random.permutation(len(bonds)):
        rest = np.array([b for j, b in enumerate(bonds) if j != k]).reshape(-1, 2)
        joined = coo_array(
            (np.ones(len(rest)), (rest[:, 0], rest[:, 1])), shape=(len(atoms),) * 2
        )
        _, part = connected_components(joined, directed=False)
        one, other = bonds[k] if random.random() < 0.5 else bonds[k][::-1]
        side = np.flatnonzero(part == part[other])
        if part[one] == part[other]:
            continue  # in a ring
        if terminal or (len(side) > 1 and (part == part[one]).sum() > 1):
            return (int(one), int(other)), side
    return None


def jittered(atoms: Atoms, random: Random) -> Atoms:
    """Structure with noise on all atoms."""
    moved: Atoms = atoms.copy()
    moved.positions += JITTER * random.normal(size=atoms.positions.shape)
    return moved


def dimer(one: Atoms, other: Atoms, random: Random) -> Atoms | None:
    """Two molecules, turned at random, so that their nearest atoms are so far apart.

    None if so little is a bond between two of their atoms.
    """
    first, second = jittered(one, random), jittered(other, random)
    for molecule in (first, second):
        molecule.positions -= molecule.positions.mean(axis=0)
    second.positions = Rotation.random(random_state=random).apply(second.positions)
    axis = Rotation.random(random_state=random).apply([1.0, 0.0, 0.0])
    wanted = random.uniform(*APART)
    near, far = 0.0, 60.0
    for _ in range(40):
        middle = 0.5 * (near + far)
        shifted = second.positions + middle * axis
        if cdist(first.positions, shifted).min() < wanted:
            near = middle
        else:
            far = middle
    second.positions += far * axis
    both: Atoms = first + second
    n = len(first)
    return None if any(i < n <= j for i, j in bonded_pairs(both)) else both


def along(reaction: Reaction, random: Random) -> Atoms | None:
    """Between the reactant and the saddle, and a little beyond it, or around it."""
    if reaction.saddle is None:
        return None
    start, saddle = to_atoms(reaction.reactant), to_atoms(reaction.saddle)
    minimize_rotation_and_translation(start, saddle)
    if random.random() < 0.5:
        share = random.uniform(*ALONG_SADDLE)
        moved = start.copy()
        moved.positions += share * (saddle.positions - start.positions)
        return jittered(moved, random)
    images = [start, *(start.copy() for _ in range(4)), saddle]
    NEB(images).interpolate("idpp", mic=False)
    return jittered(images[random.integers(1, 5)], random)


MOVES: dict[str, Move] = {
    "thermal": thermal,
    "pulled": pulled,
    "rotated": rotated,
    "pressed": pressed,
}
SHARES = {
    "thermal": 0.40,
    "pulled": 0.15,
    "rotated": 0.15,
    "pressed": 0.10,
    "dimer": 0.15,
}
REACTIONS = 0.15


def frames(
    data: RaggedSet,
    part: np.ndarray,
    paths: list[Reaction],
    kinds: list[str],
    seed: int,
    temperatures: tuple[float, float] = TEMPERATURES,
) -> Iterator[Frame]:
    """Frames without end, of one molecule after the other, each moved in some way."""
    random = np.random.default_rng(seed)
    wanted = {kind: share for kind, share in SHARES.items() if kind in kinds}
    if paths:
        wanted["reaction"] = REACTIONS
    moves: dict[str, Move] = {
        **MOVES,
        "thermal": partial(thermal, temperatures=temperatures),
    }
    names, shares = list(wanted), np.array(list(wanted.values()))
    for index in cycle(random.permutation(part)):
        kind = names[random.choice(len(names), p=shares / shares.sum())]
        frame = data[int(index)]
        label = frame.smiles or frame.name or str(index)
        atoms = to_atoms(frame, labels=False)
        if kind == "dimer":
            other = data[int(random.choice(part))]
            moved = dimer(atoms, to_atoms(other, labels=False), random)
        elif kind == "reaction":
            reaction = paths[random.integers(len(paths))]
            moved = along(reaction, random)
            label = reaction.reactant.smiles or reaction.name
        else:
            moved = moves[kind](atoms, random)
        if moved is not None and sound(moved):
            bare = from_atoms(Atoms(moved.numbers, moved.positions))
            yield replace(bare, name=f"{kind}/{index}", smiles=label)


def sound(atoms: Atoms) -> bool:
    """No two atoms lie in each other."""
    radii = covalent_radii[atoms.numbers]
    first, second = np.triu_indices(len(atoms), 1)
    return bool(
        (pdist(atoms.positions) > CLOSEST * (radii[first] + radii[second])).all()
    )


def heavy_atoms(data: RaggedSet) -> np.ndarray:
    """Atoms other than hydrogen in each frame."""
    heavy = (data.column("atomic_numbers") > 1).astype(int)
    return np.add.reduceat(heavy, data.offsets[:-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("minima", type=Path)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--reactions", type=Path)
    parser.add_argument("--reactions-split", type=Path)
    parser.add_argument("--part", choices=("train", "val", "test"), default="train")
    parser.add_argument("--kinds", nargs="*", choices=SHARES, default=list(SHARES))
    parser.add_argument(
        "--temperatures", nargs=2, type=float, default=TEMPERATURES, metavar="K"
    )
    parser.add_argument(
        "--heavy", type=int, default=None, help="of molecules with so many, or fewer"
    )
    parser.add_argument("--count", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    data = RaggedSet(options.minima)
    part = getattr(Split.load(options.split), options.part)
    if options.heavy is not None:
        part = part[heavy_atoms(data)[part] <= options.heavy]
    paths: list[Reaction] = []
    if options.reactions is not None:
        chosen = set(
            getattr(Split.load(options.reactions_split), options.part).tolist()
        )
        found = reactions(RaggedSet(options.reactions))
        paths = [r for r in found if r.index[0] in chosen]
    origin = f"training/delta/make_frames.py, {options.part} part of {data.path.name}"
    metadata = Metadata(equilibrium=False, source=origin)
    kinds, between = options.kinds, tuple(options.temperatures)
    made = frames(data, part, paths, kinds, options.seed, between)
    with RaggedWriter(options.out, metadata, "f4") as out:
        for _ in track(range(options.count), "frames"):
            out.append(next(made))
    print(f"{options.out}: {out.n_frames:,} frames")


if __name__ == "__main__":
    main()
