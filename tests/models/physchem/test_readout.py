"""Global attention against a loop over the atoms of each molecule."""

import torch
from torch.nn.functional import elu, leaky_relu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.physchem.readout import Readout

ATOMS, WIDTH, LAYERS = 6, 5, 2


def test_fingerprints_are_the_equations(graph: BondedGraph) -> None:
    """From the mean; ``GRU(ELU(sum_i alpha_i FC v_i), g)``, the state g second."""
    torch.manual_seed(0)
    readout = Readout(ATOMS, WIDTH, LAYERS, "mean").double()
    v = torch.randn(len(graph.masses), ATOMS, dtype=torch.float64)
    found = readout(graph, v)
    for k in range(graph.n_molecules):
        own = v[graph.molecule == k]
        g = torch.stack([leaky_relu(readout.first(atom)) for atom in own]).mean(0)
        for layer in readout.layers:
            scores = [
                leaky_relu(layer.of_molecule(g) + layer.of_atom(atom)) for atom in own
            ]
            values = [leaky_relu(layer.values(atom)) for atom in own]
            context = (torch.stack(scores).softmax(0) * torch.stack(values)).sum(0)
            g = leaky_relu(layer.update(input=elu(context), hx=g))
        torch.testing.assert_close(found[k], g)
