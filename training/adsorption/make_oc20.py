"""The set and the split of `training/adsorption/oc20.yaml`, from relaxations of OC20.

    python training/adsorption/make_oc20.py oc20_trajectories.h5 --out oc20.h5 \
        --splits \
        training/adsorption/splits

The set is that of the relaxations, named ``system/frame``, and says which atoms were
held: those that do not move in any frame. The split tests whole relaxations, of systems
whose elements occur in others too, and draws frames of the others for validation.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from ase_physml.data.columns import text
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.index_split import Split, make_split
from ase_physml.data.writer import RaggedWriter

VAL = 0.05
TESTED = 4  # systems


def relaxations(data: RaggedSet) -> dict[str, np.ndarray]:
    """Frames of each system, in order."""
    names = [text(name).partition("/")[0] for name in data.column("name")]
    grouped = groupby(range(len(names)), key=names.__getitem__)
    return {name: np.array(list(frames)) for name, frames in grouped}


def frames(data: RaggedSet) -> Iterator[Frame]:
    """All frames, with the atoms that were held."""
    for indices in relaxations(data).values():
        read = data.read(indices)
        positions = np.stack([frame.positions for frame in read])
        held = (np.ptp(positions, axis=0) == 0.0).all(axis=1)
        yield from (replace(frame, fixed=held) for frame in read)


def split(data: RaggedSet) -> Split:
    """Relaxations of the test, and frames of validation from the others."""
    systems = relaxations(data)
    elements = {k: set(data[int(i[0])].numbers.tolist()) for k, i in systems.items()}
    tested: list[str] = []
    for name in np.random.default_rng(0).permutation(sorted(systems)).tolist():
        now = [*tested, name]
        known = set().union(*(z for k, z in elements.items() if k not in now))
        if len(now) <= TESTED and all(elements[k] <= known for k in now):
            tested = now
    test = np.sort(np.concatenate([systems[name] for name in tested]))
    rest = np.setdiff1d(np.arange(len(data)), test)
    drawn = make_split(len(rest), (VAL, 0.0), seed=0)
    return Split(np.sort(rest[drawn.train]), rest[drawn.val], test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--splits", type=Path, help="folder to write the split to")
    options = parser.parse_args()
    data = RaggedSet(options.data)
    source = f"training/adsorption/make_oc20.py from {data.metadata.source}"
    with RaggedWriter(options.out, replace(data.metadata, source=source), "f4") as out:
        out.extend(frames(data))
    print(f"{options.out}: {out.n_frames:,} frames, {len(relaxations(data))} systems")
    if options.splits is not None:
        drawn = split(data)
        drawn.save(options.splits / "oc20.json")
        tested = {text(data.column("name")[i]).partition("/")[0] for i in drawn.test}
        print(f"{len(drawn.train)} + {len(drawn.val)} + {len(drawn.test)} ({tested})")


if __name__ == "__main__":
    main()
