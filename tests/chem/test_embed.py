"""Settings of RDKit's embeddings, and their limits."""

import numpy as np
import pytest
from rdkit import Chem

from ase_physml.chem.embed import TimeLimit, check_size, embed, etkdg_parameters
from ase_physml.chem.smiles import with_hydrogens
from ase_physml.errors import DataError


def test_every_seed_is_another_geometry() -> None:
    molecule = with_hydrogens("CCCCO")
    seeds = (0, 1, 2, 2**31 - 3)
    found = [embed(molecule, etkdg_parameters(seed))[0] for seed in seeds]
    for k, one in enumerate(found):
        assert all(np.abs(one - other).max() > 0.1 for other in found[:k])
    # RDKit itself overflows here.
    assert embed(molecule, etkdg_parameters(2**40))
    assert molecule.GetNumConformers() == 0


def test_large_molecules_are_refused_by_the_number_of_their_heavy_atoms() -> None:
    molecule = Chem.AddHs(Chem.MolFromSmiles("C" * 12))
    check_size(molecule.GetNumHeavyAtoms(), 12)
    with pytest.raises(DataError, match=r"12 atoms .* limit of 11.*--max-atoms"):
        check_size(molecule.GetNumHeavyAtoms(), 11)


def test_no_embedding_starts_when_time_is_up() -> None:
    assert TimeLimit(100.0).left() in (99, 100)
    clock = TimeLimit(0.0)
    assert clock.over
    with pytest.raises(DataError, match=r"within 0 s; allow more time .*--timeout"):
        clock.left()
