"""The set and the splits of `adsorption.pt`, from GAME-Net's adsorption set.

    python training/adsorption/make_adsorption.py adsorption_fg.h5 --out adsorption.h5 \
        --splits training/adsorption/splits

The frames stay as they are, in their order, but for two things. Their energies are
those of adsorption: zero for a clean slab and for a molecule of the gas phase, and
``E(both) - E(slab) - E(molecule)`` for a molecule on a slab (``--total`` keeps the
total energies). And they say which atoms were held: those that no adsorbate moves.

Three splits, by index: ``random``; by ``metal``, three metals of fourteen being tested;
by ``adsorbate``, of which every seventh is tested. Clean slabs are always for training.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from adsorptions import Adsorption, adsorptions, held_in_slabs

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.index_split import Split, make_split
from ase_physml.data.writer import RaggedWriter

VAL, TEST = 0.05, 0.15
METALS = 3


def frames(data: RaggedSet, found: list[Adsorption], total: bool) -> Iterator[Frame]:
    """All frames, with their energies and the atoms that were held."""
    held = held_in_slabs(data, found)
    on_slab = {one.index: one for one in found}
    for i, frame in enumerate(data):
        energy, fixed = 0.0, None
        if i in on_slab:
            energy = on_slab[i].energy
            slab = held[on_slab[i].slab]
            fixed = np.zeros(len(frame.numbers), dtype=bool)
            fixed[: len(slab)] = slab
        elif i in held:
            fixed = held[i]
        yield replace(frame, energy=frame.energy if total else energy, fixed=fixed)


def random_split(size: int, found: list[Adsorption]) -> Split:
    """Random split of frames of molecules on slabs; the others are for training."""
    places = np.array([one.index for one in found])
    drawn = make_split(len(found), (VAL, TEST), seed=0)
    return of_parts(size, places[drawn.val], places[drawn.test])


def metal_split(size: int, found: list[Adsorption]) -> Split:
    """Metals of the test are known by their clean slab only."""
    random = np.random.default_rng(0)
    metals = sorted({one.metal for one in found})
    tested = set(random.choice(metals, METALS, replace=False).tolist())
    return grouped(size, found, [one.metal in tested for one in found])


def adsorbate_split(size: int, found: list[Adsorption]) -> Split:
    """Molecules of the test are not known in the gas phase either."""
    random = np.random.default_rng(0)
    names = sorted({one.adsorbate for one in found})
    tested = set(random.choice(names, max(1, len(names) // 7), replace=False).tolist())
    split = grouped(size, found, [one.adsorbate in tested for one in found])
    gas = sorted({one.gas for one in found if one.adsorbate in tested})
    return of_parts(size, split.val, np.concatenate([split.test, gas]))


def grouped(size: int, found: list[Adsorption], tested: Sequence[bool]) -> Split:
    """A part for validation is drawn from what is not tested."""
    places, test = np.array([one.index for one in found]), np.array(tested)
    drawn = make_split(int((~test).sum()), (VAL, 0.0), seed=0)
    return of_parts(size, places[~test][drawn.val], places[test])


def of_parts(size: int, val: np.ndarray, test: np.ndarray) -> Split:
    """Split of two parts; frames in neither are for training."""
    rest = np.setdiff1d(np.arange(size), np.concatenate([val, test]))
    return Split(rest, val, np.random.default_rng(0).permutation(test))


SPLITS = {"random": random_split, "metal": metal_split, "adsorbate": adsorbate_split}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--splits", type=Path, help="folder to write splits to")
    parser.add_argument("--total", action="store_true", help="keep total energies")
    options = parser.parse_args()
    data = RaggedSet(options.data)
    found = adsorptions(data)
    kind = "total energy" if options.total else "adsorption energy"
    source = f"training/adsorption/make_adsorption.py from {data.metadata.source}"
    metadata = replace(data.metadata, energy_kind=kind, source=source, extra={})
    with RaggedWriter(options.out, metadata, "f4") as out:
        out.extend(frames(data, found, options.total))
    print(f"{options.out}: {out.n_frames:,} frames, {len(found):,} adsorption energies")
    if options.splits is not None:
        for name, draw in SPLITS.items():
            split = draw(len(data), found)
            path = options.splits / f"adsorption_{name}.json"
            split.save(path)
            parts = f"{len(split.train)} + {len(split.val)} + {len(split.test)}"
            print(f"{path}: {parts}")


if __name__ == "__main__":
    main()
