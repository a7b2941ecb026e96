"""What an atom is told of its neighbours before the first block."""

import math
from dataclasses import replace

import torch

from ase_physml.graph import AllPairs
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.elements import electronegativity
from ase_physml.models.physml.model import PhysML

CONFIG = PhysMLConfig(width=6, depth=1, heads=2, n_basis=4, cutoff=4.0)
NUMBERS = [6, 8, 1, 1]


def test_neighbours_are_the_others_within_the_cutoff() -> None:
    """``x_i = W [x_self_i; sum_{j != i} U (x_self_j * V psi_ij)]`` (Eqs 1 to 4)."""
    torch.manual_seed(0)
    # Without a block what is encoded is the embedding, but for the norm.
    model = PhysML(replace(CONFIG, cls="none")).double()
    model.blocks = torch.nn.ModuleList([])
    model.norm = torch.nn.Identity()
    positions = 1.5 * torch.randn(4, 3, dtype=torch.float64)
    positions[3] += 20.0  # sees nobody
    graph = AllPairs(torch.tensor([NUMBERS]), positions[None])
    species = model.species_of[graph.numbers]
    found, _ = model.encode(graph, species, graph.edge_distances())

    def own(i: int) -> torch.Tensor:
        chi = torch.tensor([electronegativity(NUMBERS[i])])
        return torch.cat([model.embedding.weight[species[0, i]], chi.double()])

    def psi(i: int, j: int) -> torch.Tensor:
        centre, row = species[0, i], model.basis
        d = (positions[i] - positions[j]).norm()
        phi = 0.5 * (torch.cos(math.pi * d / CONFIG.cutoff) + 1) * (d < CONFIG.cutoff)
        off = torch.exp(-CONFIG.alpha * d) - row.centres[centre]
        return phi * torch.exp(-row.log_widths[centre].exp() * off.square())

    for i in range(4):
        around = torch.zeros(CONFIG.width, dtype=torch.float64)
        for j in range(4):
            if j != i:
                filtered = own(j) * (model.neighbour_filter.weight @ psi(i, j))
                around += model.neighbour_mix.weight @ filtered
        expected = model.combine(torch.cat([own(i), around]))
        torch.testing.assert_close(found[0, i], expected)
