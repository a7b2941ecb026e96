"""Small sets of geometries, made with RDKit."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write


def _geometry(smiles: str, seed: int = 0) -> Frame:
    """All atoms of a relaxed conformer, in random order."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(molecule, randomSeed=7) == 0
    AllChem.MMFFOptimizeMolecule(molecule)
    order = np.random.default_rng(seed).permutation(molecule.GetNumAtoms())
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    positions = molecule.GetConformer().GetPositions()
    return Frame(numbers[order], positions[order], name=smiles)


@pytest.fixture
def geometry() -> Callable[..., Frame]:
    return _geometry


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, smiles: Sequence[str], energies: bool = False) -> Path:
        frames = [_geometry(s) for s in smiles]
        if energies:
            frames = [
                Frame(f.numbers, f.positions, energy=-float(k), name=f.name)
                for k, f in enumerate(frames)
            ]
        path = tmp_path / name
        write(path, frames, Metadata(source="RDKit"))
        return path

    return make
