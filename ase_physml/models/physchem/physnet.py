"""PhysNet: learned forces move the atoms, a few Euler steps at a time.

In PhysChem ``q <- q + tau p / m``, ``p <- p + tau f`` (Eq 9), where positional
forces act between all atoms of a molecule and torsion forces along its bonds.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, softplus

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.physchem.config import Integrator
from ase_physml.models.physchem.geometry import directions
from ase_physml.segment import segment_sum

_SOFT = 0.1  # keeps r^-2 - r^-1 below 7
_REACH = 32  # width of the map whose norm is r


class Law(NamedTuple):
    """Law of motion of a batch, with what does not depend on positions done once.

    Attributes:
        forces: From coordinates (N, s) to forces (N, s).
        distances: Distance in Å that the law aims at for each pair, (P,), or None.
    """

    forces: Callable[[Tensor], Tensor]
    distances: Tensor | None = None


class Motion(NamedTuple):
    """Motion of the atoms in the steps of a block.

    Attributes:
        path: Coordinates after each step, (N, s) each.
        momenta: After the last step, (N, s).
        forces: Forces in the last step, (N, s).
        distances: Distances of `Law`.
    """

    path: list[Tensor]
    momenta: Tensor
    forces: Tensor
    distances: Tensor | None


class PhysNet(nn.Module):
    """Steps of the equations of motion under a learned law.

    Args:
        law: From (graph, atom states, bond states) to a `Law`.
        steps: Number of steps S.
        time_step: tau.
        integrator: "euler" (paper) or "symplectic".
        friction: Part of the momentum lost in each step.
    """

    def __init__(
        self,
        law: nn.Module,
        steps: int,
        time_step: float,
        integrator: Integrator,
        friction: float,
    ) -> None:
        super().__init__()
        self.law = law
        self.steps = steps
        self.time_step = time_step
        self.integrator = integrator
        self.friction = friction

    def forward(
        self, graph: BondedGraph, v: Tensor, e: Tensor, q: Tensor, p: Tensor
    ) -> Motion:
        """Move atoms of states v, joined by bonds of states e, from (q, p)."""
        law: Law = self.law(graph, v, e)
        tau, masses = self.time_step, graph.masses.unsqueeze(-1)
        path, forces = [], torch.zeros_like(q)
        for _ in range(self.steps):
            forces = law.forces(q)
            new_p = (1.0 - self.friction) * p + tau * forces
            q = q + tau * (p if self.integrator == "euler" else new_p) / masses
            p = new_p
            path.append(q)
        return Motion(path, p, forces, law.distances)


class PaperLaw(nn.Module):
    """Positional and torsion forces along ``d_ji = (q_i - q_j) / |q_i - q_j|``.

    ``f^pos = (r^-2 - r^-1) m_i m_j d_ji`` with ``r = |FC(q_i - q_j)|``, softened where
    r vanishes, and ``f^tor = FC(e_ij) d_ji``.
    """

    def __init__(self, bond_width: int, space: int) -> None:
        super().__init__()
        self.reach = nn.Linear(space, _REACH, bias=False)
        self.torsion = nn.Linear(bond_width, 1)

    def forward(self, graph: BondedGraph, v: Tensor, e: Tensor) -> Law:
        """The law for bonds of states e (E, bond_width)."""
        return _law_of(graph, self._positional, self.torsion(e))

    def _positional(self, vectors: Tensor, masses: Tensor) -> Tensor:
        squared = self.reach(vectors).square().sum(-1, keepdim=True) + _SOFT
        strengths: Tensor = (1.0 / squared - squared.rsqrt()) * masses
        return strengths


class BoundedLaw(nn.Module):
    """The forces of the published code: strengths within (-1, 1).

    ``r = |softplus(FC(q_i - q_j))|`` differs between i and j, so that momentum is not
    conserved, and the torsion force reads the states of both atoms.
    """

    def __init__(self, atom_width: int, bond_width: int, space: int) -> None:
        super().__init__()
        self.reach = nn.Linear(space, _REACH)
        self.of_atoms = nn.Linear(atom_width, _REACH, bias=False)
        self.of_bond = nn.Linear(bond_width, _REACH)
        self.torsion = nn.Linear(_REACH, 1)

    def forward(self, graph: BondedGraph, v: Tensor, e: Tensor) -> Law:
        """The law for states v (N, atom_width) and e (E, bond_width)."""
        ends = self.of_atoms(torch.sigmoid(v))
        hidden = ends.index_select(0, graph.source) + self.of_bond(torch.sigmoid(e))
        hidden = leaky_relu(hidden + ends.index_select(0, graph.target))
        return _law_of(graph, self._positional, torch.tanh(self.torsion(hidden)))

    def _positional(self, vectors: Tensor, masses: Tensor) -> Tensor:
        squared = softplus(self.reach(vectors)).square().sum(-1, keepdim=True)
        return torch.tanh((1.0 / squared - squared.rsqrt()) * masses)


def _law_of(
    graph: BondedGraph, positional: Callable[[Tensor, Tensor], Tensor], w: Tensor
) -> Law:
    """Law from the strength of positional forces and that of each edge, (E, 1)."""
    first, second = graph.pairs
    i = torch.cat([first, second])
    j = torch.cat([second, first])
    masses = (graph.masses.index_select(0, i) * graph.masses.index_select(0, j))[
        :, None
    ]
    receivers = torch.cat([i, graph.target])
    senders = torch.cat([j, graph.source])

    def forces(q: Tensor) -> Tensor:
        vectors = q.index_select(0, receivers) - q.index_select(0, senders)
        strengths = torch.cat([positional(vectors[: len(i)], masses), w])
        return segment_sum(strengths * directions(vectors)[0], receivers, len(q))

    return Law(forces)
