"""Molecules of chosen sizes, without a data set."""

from pathlib import Path

import numpy as np
from ase import Atoms

from ase_physml.data.conversion import to_atoms
from ase_physml.data.dataset import RaggedSet

DATA = Path(__file__).parents[1] / "training" / "quickstart.h5"

_CC, _CH = 1.54, 1.09
_SPACING = 3.567 / 4  # of the diamond lattice, Å


def alkane(n_atoms: int) -> Atoms:
    """The stretched n-alkane nearest in size: what a long molecule looks like."""
    n = max(1, round((n_atoms - 2) / 3))
    dx, dy = _CC * np.sin(np.radians(54.75)), _CC * np.cos(np.radians(54.75))
    carbons = np.array([[i * dx, dy * (i % 2), 0.0] for i in range(n)])
    outward = np.where(np.arange(n) % 2, 1.0, -1.0)
    y, z = 0.58 * _CH, 0.82 * _CH
    up = carbons + np.stack([np.zeros(n), outward * y, np.full(n, z)], 1)
    down = carbons + np.stack([np.zeros(n), outward * y, np.full(n, -z)], 1)
    ends = np.array([[-0.94, 0.0, 0.0], [0.94, 0.0, 0.0]]) * _CH
    ends[:, 1] = -0.33 * _CH * outward[[0, -1]]
    ends += carbons[[0, -1]]
    positions = np.concatenate([carbons, up, down, ends])
    return Atoms(["C"] * n + ["H"] * (2 * n + 2), positions)


def nanodiamond(n_atoms: int) -> Atoms:
    """A ball of diamond, saturated with H, of about that size: the densest there is."""
    reach = 12
    grid = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3), -1).reshape(-1, 3)
    even = (grid % 2 == 0).all(1) & (grid.sum(1) % 4 == 0)
    odd = (grid % 2 == 1).all(1) & (grid.sum(1) % 4 == 3)
    sites = grid[even | odd] * _SPACING
    sites = sites[np.argsort(np.linalg.norm(sites - 0.3, axis=1))]
    low, high = 1, len(sites)
    while low < high:
        middle = (low + high) // 2
        if len(_saturated(sites[:middle])) < n_atoms:
            low = middle + 1
        else:
            high = middle
    return _saturated(sites[:low])


def _saturated(carbons: np.ndarray) -> Atoms:
    """Carbons of a diamond lattice, with an H wherever a neighbour is missing."""
    bond = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * _SPACING
    lattice = np.round(carbons / _SPACING).astype(int)
    taken = {tuple(site) for site in lattice}
    hydrogens = []
    for site, carbon in zip(lattice, carbons, strict=True):
        sign = 1 if site[0] % 2 == 0 else -1
        hydrogens += [
            carbon + step * (_CH / np.linalg.norm(step))
            for step in sign * bond
            if tuple(np.round((carbon + step) / _SPACING).astype(int)) not in taken
        ]
    symbols = ["C"] * len(carbons) + ["H"] * len(hydrogens)
    return Atoms(symbols, np.concatenate([carbons, np.array(hydrogens)]))


def small_molecules(count: int, n_atoms: int | None = None) -> list[Atoms]:
    """Molecules of `training/quickstart.h5`, repeated if there are not enough."""
    data = RaggedSet(DATA)
    allowed = np.arange(len(data))
    if n_atoms is not None:
        allowed = np.flatnonzero(data.n_atoms == n_atoms)
    frames = np.resize(allowed, count)
    found = {i: to_atoms(f) for i, f in zip(allowed, data.read(allowed), strict=True)}
    return [found[i].copy() for i in frames]
