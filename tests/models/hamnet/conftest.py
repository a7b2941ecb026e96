"""Molecules that the HamNet tests share."""

import pytest
import torch

from ase_physml.bonded_graph import BondedGraph
from ase_physml.chem.collate import collate
from ase_physml.chem.features import featurise
from ase_physml.chem.molecules import MoleculeStore

# A chain, one atom twice, two ions without a bond, a ring, a molecule that only the
# order of its atoms can untangle, and one with different bonds at one atom.
SMILES = ("CCO", "C", "[Ne]", "[Na+].[Cl-]", "c1ccncc1", "CC(C)(C)C", "CC(=O)N")


@pytest.fixture(scope="session")
def graph() -> BondedGraph:
    """The batch of all, in float64, in random conformations."""
    torch.manual_seed(0)
    sizes = [3, 1, 1, 2, 6, 5, 4]
    molecules = [
        featurise(smiles, torch.randn(n, 3).numpy())
        for smiles, n in zip(SMILES, sizes, strict=True)
    ]
    return collate(MoleculeStore.of(molecules)).to(torch.float64)
