"""Summary of a set, read once and in bounded memory."""

from dataclasses import dataclass, field

import numpy as np

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Array

# Above this, all distances of a frame take too much memory.
_DISTANCES_UP_TO = 256


@dataclass
class Summary:
    """Counts and ranges of a set.

    Attributes:
        frames: Number of structures.
        atoms: Smallest, mean and largest number of atoms.
        elements: Atomic number to number of atoms.
        energies: Number of frames with an energy.
        energy_per_atom: Lowest and highest, eV, or None.
        forces: Number of frames with forces.
        largest_force: Largest force on an atom, eV/Å, or None.
        periodic: Number of frames with a periodic direction.
        duplicates: Number of frames that repeat an earlier one: the same elements and
            the same distances to 0.01 Å, whatever the orientation and order of atoms;
            frames of more than 256 atoms have to agree in order and position.
    """

    frames: int
    atoms: tuple[int, float, int]
    elements: dict[int, int] = field(default_factory=dict)
    energies: int = 0
    energy_per_atom: tuple[float, float] | None = None
    forces: int = 0
    largest_force: float | None = None
    periodic: int = 0
    duplicates: int = 0


def summarise(data: RaggedSet) -> Summary:
    """Read a set once, a chunk at a time; 8 bytes a frame stay in memory."""
    sizes = data.n_atoms
    found = Summary(
        frames=len(data),
        atoms=(int(sizes.min()), float(sizes.mean()), int(sizes.max())),
    )
    elements = np.zeros(256, dtype=np.int64)
    marks = np.empty(len(data), dtype=np.uint64)
    for start, stop in data.chunks():
        first, last = int(data.offsets[start]), int(data.offsets[stop])
        numbers = data.column("atomic_numbers", first, last)
        positions = data.column("positions", first, last)
        rows = data.offsets[start : stop + 1] - first
        elements += np.bincount(numbers, minlength=256)
        marks[start:stop] = fingerprints(numbers, positions, rows)
        if data.has("cell"):
            cells = data.column("cell", start, stop).reshape(stop - start, 9)
            marks[start:stop] += _mixed(np.rint(cells * 100).astype(np.int64)).sum(1)
        if data.has("pbc"):
            periodic = data.column("pbc", start, stop).any(axis=1)
            found.periodic += int(periodic.sum())
        _add_energies(found, data, start, stop)
        _add_forces(found, data, rows, first)
    found.elements = {int(z): int(elements[z]) for z in np.flatnonzero(elements)}
    found.duplicates = len(marks) - len(np.unique(marks))
    return found


def fingerprints(numbers: Array, positions: Array, rows: Array) -> Array:
    """Fingerprints of frames that rotation and order of atoms do not change.

    Args:
        numbers: Atomic numbers of all frames (sum N,).
        positions: Positions of all (sum N, 3), Å.
        rows: First row of each frame, and the end (M + 1,).

    Returns:
        64 bits of each frame, uint64 (M,).
    """
    sizes = np.diff(rows)
    marks = np.empty(len(sizes), dtype=np.uint64)
    for n in np.unique(sizes):
        frames = np.flatnonzero(sizes == n)
        # All distances of some frames at a time: 8 MB for the largest arrays.
        for part in np.array_split(frames, 1 + len(frames) * n * n // 1_000_000):
            atoms = rows[part][:, None] + np.arange(n)
            z, r = numbers[atoms].astype(np.int64), positions[atoms].astype(np.float64)
            marks[part] = _marks_of_equal_size(z, r)
    return marks


def _marks_of_equal_size(z: Array, r: Array) -> Array:
    """Fingerprints (m,) of frames with numbers (m, n) and positions (m, n, 3)."""
    if z.shape[1] > _DISTANCES_UP_TO:
        order = np.arange(z.shape[1]) * 4
        places = np.rint(r * 100).astype(np.int64)
        in_order = [_mixed(places[..., k] * 4096 + order + k).sum(1) for k in range(3)]
        marks = np.add.reduce(in_order) + _mixed(z * 4096 + order).sum(1)
        return np.asarray(marks)
    i, j = np.triu_indices(z.shape[1], 1)
    distances = np.linalg.norm(r[:, i] - r[:, j], axis=-1)
    kinds = np.minimum(z[:, i], z[:, j]) * 128 + np.maximum(z[:, i], z[:, j])
    pairs = _mixed((kinds << 40) + np.rint(distances * 100).astype(np.int64))
    # Sums do not depend on the order of atoms.
    return np.asarray(pairs.sum(1) + _mixed(-z).sum(1))


def _mixed(values: Array) -> Array:
    """Scramble integers so that sums of different ones differ (splitmix64)."""
    x = values.astype(np.int64).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def _add_energies(found: Summary, data: RaggedSet, start: int, stop: int) -> None:
    if not data.has("energy"):
        return
    energies = data.column("energy", start, stop)
    there = ~np.isnan(energies)
    per_atom = (energies / data.n_atoms[start:stop])[there]
    if not len(per_atom):
        return
    found.energies += len(per_atom)
    low, high = found.energy_per_atom or (np.inf, -np.inf)
    found.energy_per_atom = (
        min(low, float(per_atom.min())),
        max(high, float(per_atom.max())),
    )


def _add_forces(found: Summary, data: RaggedSet, rows: Array, first: int) -> None:
    if not data.has("forces"):
        return
    forces = data.column("forces", first, first + int(rows[-1]))
    sizes = np.linalg.norm(forces.astype(np.float64), axis=1)
    largest = np.maximum.reduceat(sizes, rows[:-1])
    there = ~np.isnan(largest)
    found.forces += int(there.sum())
    if there.any():
        found.largest_force = max(
            found.largest_force or 0.0, float(largest[there].max())
        )
