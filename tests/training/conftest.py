"""Small sets with real labels: ASE's EMT, which knows H, C, N and O."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT

from ase_physml.data.conversion import from_atoms
from ase_physml.data.frame import Frame
from ase_physml.data.index_split import make_split
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write

NAMES = ("H2O", "CH4", "NH3", "CO2", "C2H6", "CH3OH", "HCN", "H2CO")


def rattled(count: int, deviation: float, labels: bool) -> list[Frame]:
    random = np.random.default_rng(0)
    frames = []
    for i in range(count):
        atoms = molecule(NAMES[i % len(NAMES)])
        atoms.positions += deviation * random.normal(size=atoms.positions.shape)
        atoms.calc = EMT()
        if labels:
            atoms.get_forces()
        frame = from_atoms(atoms)
        frames.append(frame)
    return frames


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with equilibrium.h5 (no labels), labelled.h5, split.json, forces.h5."""
    folder = tmp_path_factory.mktemp("sets")
    still = Metadata(level_of_theory="EMT", equilibrium=True)
    moving = Metadata(level_of_theory="EMT", equilibrium=False)
    write(folder / "equilibrium.h5", rattled(16, 0.01, False), still)
    energies = [
        Frame(f.numbers, f.positions, f.energy) for f in rattled(64, 0.02, True)
    ]
    write(folder / "labelled.h5", energies, still)
    make_split(64, (0.125, 0.125), seed=0).save(folder / "split.json")
    write(folder / "forces.h5", rattled(32, 0.1, True), moving)
    return folder
