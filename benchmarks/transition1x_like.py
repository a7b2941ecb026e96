"""A file of Transition1x's layout and of any length, with made-up numbers in it."""

from pathlib import Path

import h5py
import numpy as np

LEVEL = "wB97x_6-31G(d)"
# Frames of a reaction; in the published file there are 953 on the average.
FRAMES = 1000
MOLECULES = {
    "H2O": [8, 1, 1],
    "CHN": [6, 7, 1],
    "CH2O": [6, 8, 1, 1],
    "H3N": [7, 1, 1, 1],
    "CH4": [6, 1, 1, 1, 1],
    "CH4O": [6, 8, 1, 1, 1, 1],
}
# Lattice on which the atoms rest, Å; springs of 20 eV/Å^2 hold them there.
_REST = 1.2 * np.array(np.unravel_index(np.arange(8), (2, 2, 2))).T
_STIFFNESS = 20.0
_ELECTRONIC = {1: -13.6, 6: -1030.0, 7: -1485.0, 8: -2042.0}


def generate(path: Path, frames: int) -> None:
    """Write so many frames, rounded up to whole reactions of equal length."""
    reactions = -(-frames // FRAMES)
    with h5py.File(path, "w") as file:
        for k in range(reactions):
            formula = list(MOLECULES)[k % len(MOLECULES)]
            numbers = np.array(MOLECULES[formula])
            group = file.require_group(f"data/{formula}").create_group(f"rxn{k:05d}")
            _write(group, numbers, FRAMES, np.random.default_rng(k))
            for point in ("reactant", "transition_state", "product"):
                one = group.create_group(point)
                _write(one, numbers, 1, np.random.default_rng(k))


def _write(
    group: h5py.Group, numbers: np.ndarray, count: int, random: np.random.Generator
) -> None:
    shift = 0.1 * random.normal(size=(count, len(numbers), 3))
    strain = 0.5 * _STIFFNESS * (shift**2).sum((1, 2))
    group["atomic_numbers"] = numbers
    group["positions"] = _REST[: len(numbers)] + shift
    group[f"{LEVEL}.energy"] = sum(_ELECTRONIC[z] for z in numbers) + strain
    group[f"{LEVEL}.forces"] = -_STIFFNESS * shift
