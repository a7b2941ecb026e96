"""What is in a set, in bounded memory."""

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ase_physml.data.frame import Frame
from ase_physml.data.ragged import RaggedSet


@dataclass(frozen=True)
class Summary:
    """Counts and ranges of a set.

    Attributes:
        frames: Structures.
        atoms: Smallest, mean and largest number of atoms.
        elements: Atomic number to number of atoms.
        energies: Frames with an energy.
        energy_per_atom: Lowest and highest, eV, or None.
        forces: Frames with forces.
        largest_force: Of any atom, eV/Å, or None.
        duplicates: Frames that repeat an earlier one: same elements and the same
            distances to 0.001 Å, whatever the orientation and order of atoms.
    """

    frames: int
    atoms: tuple[int, float, int]
    elements: dict[int, int]
    energies: int
    energy_per_atom: tuple[float, float] | None
    forces: int
    largest_force: float | None
    duplicates: int


def summarise(data: RaggedSet) -> Summary:
    """Read a set once, a slab at a time; 8 bytes a frame stay in memory."""
    elements: Counter[int] = Counter()
    seen: set[int] = set()
    energies, force_norms = [], []
    duplicates = with_forces = 0
    for slab in data.slabs():
        for frame in slab:
            elements.update(frame.numbers.tolist())
            mark = fingerprint(frame)
            duplicates += mark in seen
            seen.add(mark)
            if frame.energy is not None:
                energies.append(frame.energy / len(frame.numbers))
            if frame.forces is not None and np.isfinite(frame.forces).all():
                with_forces += 1
                force_norms.append(np.linalg.norm(frame.forces, axis=1).max())
    sizes = data.n_atoms
    return Summary(
        frames=len(data),
        atoms=(int(sizes.min()), float(sizes.mean()), int(sizes.max())),
        elements=dict(sorted(elements.items())),
        energies=len(energies),
        energy_per_atom=(min(energies), max(energies)) if energies else None,
        forces=with_forces,
        largest_force=float(max(force_norms)) if force_norms else None,
        duplicates=duplicates,
    )


def fingerprint(frame: Frame) -> int:
    """64 bits of a structure that rotation, translation and order do not change."""
    gaps = frame.positions[:, None].astype(float) - frame.positions[None]
    distances = np.linalg.norm(gaps, axis=-1)
    weight = frame.numbers[:, None].astype(int) * frame.numbers[None].astype(int)
    upper = np.triu_indices(len(distances), 1)
    pairs = np.stack([weight[upper], np.rint(distances[upper] * 1000.0)], axis=1)
    ordered = pairs[np.lexsort(pairs.T)].astype(np.int64)
    digest = hashlib.blake2b(np.sort(frame.numbers).tobytes(), digest_size=8)
    digest.update(ordered.tobytes())
    return int.from_bytes(digest.digest(), "big")
