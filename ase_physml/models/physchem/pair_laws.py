"""Forces that act along the line between two atoms, equal and opposite.

Beyond the paper, whose forces depend on the frame. Strengths depend on true distances
and on the state of the pair, so that momentum is conserved and rotated, reflected or
shifted positions give forces that are rotated or reflected alike.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.gaussian import gaussian
from ase_physml.models.physchem.geometry import directions
from ase_physml.models.physchem.pairs import PairStates
from ase_physml.models.physchem.physnet import Law
from ase_physml.segment import segment_sum

_BOND, _GROWTH = 1.5, 0.8  # Å; typical distances are _BOND * hops ** _GROWTH
_FARTHEST = 40  # bonds; also stands for "not connected"
_RADIAL, _RADIUS = 16, 8.0  # Gaussians from 0 to 8 Å


class EquivariantLaw(nn.Module):
    """Strength of each pair from an MLP of its state and its distance."""

    centres: Tensor

    def __init__(
        self, atom_width: int, bond_width: int, width: int, layers: int
    ) -> None:
        super().__init__()
        self.pairs = PairStates(atom_width, bond_width, width, layers)
        self.of_pair = nn.Linear(width, width)
        self.of_distance = nn.Linear(_RADIAL + 1, width, bias=False)
        self.strength = nn.Linear(width, 1)
        with torch.no_grad():  # from gentle forces on, however many the steps
            self.strength.weight.mul_(0.1)
        # Of this dtype whatever torch's default is: a model is trained with these.
        centres = torch.linspace(0.0, _RADIUS, _RADIAL, dtype=torch.float32)
        self.register_buffer("centres", centres, persistent=False)

    def forward(self, graph: BondedGraph, v: Tensor, e: Tensor) -> Law:
        """The law for states v (N, atom_width) and e (E, bond_width)."""
        of_pair = self.of_pair(self.pairs(graph, v, e))

        def strengths(lengths: Tensor) -> Tensor:
            hidden = silu(of_pair + self.of_distance(self._radial(lengths)))
            found: Tensor = self.strength(hidden)
            return found

        return Law(lambda q: _along_pairs(graph, q, strengths))

    def _radial(self, lengths: Tensor) -> Tensor:
        scaled = (lengths - self.centres) * (_RADIAL / _RADIUS)
        return torch.cat([gaussian(0.5 * scaled.square()), lengths], dim=-1)


class SpringLaw(nn.Module):
    """Springs ``k_ij (d_ij - |q_i - q_j|)`` of learned stiffness to learned distances.

    Stiffness is normalised by what pulls on both atoms, and by the time step, so that
    a step takes an atom about all the way to where its springs want it, in molecules of
    any size.
    """

    def __init__(
        self,
        atom_width: int,
        bond_width: int,
        width: int,
        layers: int,
        time_step: float,
    ) -> None:
        super().__init__()
        self.time_step = time_step
        self.pairs = PairStates(atom_width, bond_width, width, layers)
        self.out = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2)
        )

    def forward(self, graph: BondedGraph, v: Tensor, e: Tensor) -> Law:
        """The law for states v (N, atom_width) and e (E, bond_width)."""
        stretch, log_weight = self.out(self.pairs(graph, v, e)).chunk(2, dim=-1)
        hops = graph.hops.clamp(max=_FARTHEST).unsqueeze(-1).to(v.dtype)
        wanted: Tensor = _BOND * hops.pow(_GROWTH) * stretch.exp()
        stiffness = self._stiffness(graph, log_weight.exp())

        def strengths(lengths: Tensor) -> Tensor:
            return stiffness * (wanted - lengths)

        return Law(lambda q: _along_pairs(graph, q, strengths), wanted.squeeze(-1))

    def _stiffness(self, graph: BondedGraph, weight: Tensor) -> Tensor:
        i, j = graph.pairs
        masses = graph.masses.unsqueeze(-1)
        m_i, m_j = masses.index_select(0, i), masses.index_select(0, j)
        load = segment_sum(
            torch.cat([weight * m_j, weight * m_i]), graph.pairs.flatten(), len(masses)
        )
        both = load.index_select(0, i) * load.index_select(0, j)
        stiffness: Tensor = weight * m_i * m_j * both.rsqrt() / self.time_step**2
        return stiffness


def _along_pairs(
    graph: BondedGraph, q: Tensor, strengths: Callable[[Tensor], Tensor]
) -> Tensor:
    """Forces (N, s) from strengths of lengths, (P, 1) both; positive ones push."""
    i, j = graph.pairs
    unit, lengths = directions(q.index_select(0, i) - q.index_select(0, j))
    push = strengths(lengths) * unit
    return segment_sum(torch.cat([push, -push]), graph.pairs.flatten(), len(q))
