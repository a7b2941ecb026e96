"""What fingerprints start from: readouts without a round of attention."""

import pytest
import torch
from torch import Tensor

from ase_physml.chem.collate import graph_of
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.hamnet.fingerprint import Readout as HamNetReadout
from ase_physml.models.physchem.readout import Readout as PhysChemReadout
from ase_physml.models.pooling import Pooling


def start(of: str, pooling: Pooling, smiles: str) -> Tensor:
    """The fingerprint of a molecule of equal atoms, the same weights each time."""
    torch.manual_seed(0)
    graph = graph_of(smiles)
    atoms = torch.ones(len(graph.molecule), 4)
    if of == "PhysChem":
        return PhysChemReadout(4, 3, 0, pooling)(graph, atoms)
    config = HamNetConfig(width=4, fingerprint=3, readouts=0, pooling=pooling)
    return HamNetReadout(config, 2)(graph, atoms, atoms[:, :2])


@pytest.mark.parametrize(("pooling", "ratio"), [("mean", 1.0), ("sum", 2.0)])
@pytest.mark.parametrize("of", ["HamNet", "PhysChem"])
def test_a_sum_counts_atoms(of: str, pooling: Pooling, ratio: float) -> None:
    small, large = start(of, pooling, "CC"), start(of, pooling, "CCCC")
    torch.testing.assert_close(large, ratio * small)
    assert small.abs().max() > 0
