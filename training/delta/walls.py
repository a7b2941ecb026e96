"""Labels of a committee where it agrees, and its baseline's forces where it does not.

    physml data label frames.h5 teacher.h5 --calculator qm9_delta.pt --precision f4
    physml data label frames.h5 baseline.h5 --calculator tblite:GFN2-xTB --precision f4
    python training/delta/walls.py teacher.h5 baseline.h5 --out walls.h5

A correction knows nothing of atoms that are pressed into each other, and guesses wildly
there. The baseline's forces push them apart, which is all that a pupil has to know; its
energies are not comparable with corrected ones and are left out. Frames with forces
beyond what any dynamics meets are dropped.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.writer import RaggedWriter

AGREED = 1.0  # eV/Å, the largest spread of any force; thermal frames have 0.3
STRONGEST = 50.0  # eV/Å


def labelled(teacher: RaggedSet, baseline: RaggedSet) -> Iterator[Frame]:
    """Frames with one label or the other.

    Raises:
        SystemExit: The sets are not of the same frames.
    """
    if len(teacher) != len(baseline):
        raise SystemExit(
            f"{teacher.path} and {baseline.path} are not of the same frames"
        )
    for frame, other in zip(teacher, baseline, strict=True):
        if not np.array_equal(frame.positions, other.positions):
            raise SystemExit(f"{frame.name} is not the same frame in both sets")
        if frame.spread is None or not frame.spread < AGREED:
            frame = replace(frame, energy=None, forces=other.forces)
        if frame.forces is not None and np.abs(frame.forces).max() < STRONGEST:
            yield frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teacher", type=Path)
    parser.add_argument("baseline", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    teacher = RaggedSet(options.teacher)
    source = f"{teacher.metadata.source}; above {AGREED} eV/Å of spread the baseline's"
    metadata = replace(teacher.metadata, source=source)
    kept = by_baseline = 0
    with RaggedWriter(options.out, metadata, "f4") as out:
        for frame in labelled(teacher, RaggedSet(options.baseline)):
            out.append(frame)
            kept += 1
            by_baseline += frame.energy is None
    print(f"{options.out}: {kept:,} frames, {by_baseline:,} of them by the baseline")


if __name__ == "__main__":
    main()
