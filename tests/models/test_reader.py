"""An LSTM along atoms: every molecule as if it were alone."""

import numpy as np
import pytest
import torch
from torch import nn

from ase_physml.chem.collate import collate
from ase_physml.chem.features import featurise
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.models.reader import _parts, read_atoms

ONE = featurise("O"), featurise("CCO"), featurise("C" * 30)


@pytest.mark.parametrize(("count", "parts"), [(20, 1), (70, 2), (300, 4)])
@pytest.mark.parametrize("backward", [False, True])
def test_molecules_do_not_see_what_they_are_read_with(
    count: int, parts: int, backward: bool
) -> None:
    torch.manual_seed(0)
    chosen = np.random.default_rng(0).integers(3, size=count)
    graph = collate(MoleculeStore.of([ONE[k] for k in chosen]))
    assert _parts(graph) == parts
    lstm = nn.LSTM(5, 4, num_layers=2, batch_first=True).double()
    x = torch.randn(len(graph.molecule), 5, dtype=torch.float64)
    place = graph.n_atoms[graph.molecule] - 1 - graph.place if backward else None
    found = read_atoms(lstm, graph, x, place)
    for own, said in zip(
        x.split(graph.n_atoms.tolist()),
        found.split(graph.n_atoms.tolist()),
        strict=True,
    ):
        alone, _ = lstm(own.flip(0) if backward else own)
        torch.testing.assert_close(said, alone.flip(0) if backward else alone)


def test_molecules_of_one_size_are_read_at_once() -> None:
    assert _parts(collate(MoleculeStore.of([ONE[1]] * 300))) == 1
