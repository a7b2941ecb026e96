"""Energies of the Hamiltonian engine, and their derivatives in closed form.

HamNet Eqs 8 and 9, for atoms with positions q and momenta p in d_f dimensions::

    T_i   = |W_T p_i|^2 / (2 m_i)                   kinetic energy
    Phi_i = |W_Phi p_i|^2 / (2 m_i^2)               Rayleigh's dissipation
    U     = sum_{i != j} (r_ij^-4 - r_ij^-2)        potential energy
    r_ij^2 = softplus(|W_U (q_i - q_j)|^2)

The softplus is from the authors' code: without it U is singular, and training meets
atoms that coincide. With ``repo`` the rest is theirs as well: T and Phi without the
factors 1/2, ``m_i m_j`` in front of each term of U, and a bias within r_ij.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.segment import segment_sum

_KINETIC_WIDTH = 4  # rows of W_T, in units of d_f: 128 for 32


class EngineEnergies(NamedTuple):
    """Energies of each molecule, shape (M,), in units that the engine has made its own.

    Attributes:
        kinetic: T.
        potential: U.
        dissipation: Phi, half the rate at which it takes energy out (a power).
    """

    kinetic: Tensor
    potential: Tensor
    dissipation: Tensor


class Hamiltonian(nn.Module):
    """H = T + U, the dissipation Phi, and what they do to q and p."""

    def __init__(self, config: HamNetConfig) -> None:
        super().__init__()
        d = config.state_width
        self.kinetic = nn.Linear(d, _KINETIC_WIDTH * d, bias=False)
        self.dissipation = nn.Linear(d, d, bias=False) if config.dissipation else None
        self.metric = nn.Linear(d, d, bias=config.repo)
        self.repo = config.repo
        self.factor = 1.0 if config.repo else 0.5

    def roll(
        self, graph: BondedGraph, q: Tensor, p: Tensor, steps: int, eta: float
    ) -> tuple[list[Tensor], Tensor]:
        """``q += eta dH/dp, p -= eta (dH/dq + m dPhi/dp)``, steps times (Eq 6).

        Returns:
            The q before the first and after every step and the last p, (N, d_f) each.
        """
        squares = self.squares()
        visited = [q]
        for _ in range(steps):
            velocity, friction = self.motion(graph, p, squares)
            p = p - eta * (self.potential_gradient(graph, q) + friction)
            q = q + eta * velocity
            visited.append(q)
        return visited, p

    def squares(self) -> Tensor:
        """``[W_T^T W_T, W_Phi^T W_Phi]``, once for all steps, shape (d_f, 2 d_f)."""
        w = self.kinetic.weight
        kinetic = w.T @ w
        friction = torch.zeros_like(kinetic)
        if self.dissipation is not None:
            w = self.dissipation.weight
            friction = w.T @ w
        return 2 * self.factor * torch.cat([kinetic, friction], -1)

    def motion(
        self, graph: BondedGraph, p: Tensor, squares: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``dH/dp`` and ``m dPhi/dp``, (N, d_f) each."""
        velocity, friction = (p / graph.masses.unsqueeze(-1) @ squares).chunk(2, -1)
        return velocity, friction

    def energies(self, graph: BondedGraph, q: Tensor, p: Tensor) -> EngineEnergies:
        """Energies of each molecule."""
        return EngineEnergies(
            self.kinetic_energy(graph, p),
            self.potential_energy(graph, q),
            self.dissipation_power(graph, p),
        )

    def kinetic_energy(self, graph: BondedGraph, p: Tensor) -> Tensor:
        """T, shape (M,)."""
        atoms = self.factor * self.kinetic(p).square().sum(-1) / graph.masses
        return segment_sum(atoms, graph.molecule, graph.n_molecules)

    def dissipation_power(self, graph: BondedGraph, p: Tensor) -> Tensor:
        """Phi, shape (M,); zero without dissipation."""
        if self.dissipation is None:
            return p.new_zeros(graph.n_molecules)
        atoms = self.factor * self.dissipation(p).square().sum(-1)
        atoms = atoms / graph.masses.square()
        return segment_sum(atoms, graph.molecule, graph.n_molecules)

    def potential_energy(self, graph: BondedGraph, q: Tensor) -> Tensor:
        """U, shape (M,)."""
        weights, separations = self._separations(graph, q)
        pairs = _energy(separations).sum(0) * weights
        molecule = graph.molecule[graph.pairs[0]]
        return segment_sum(pairs, molecule, graph.n_molecules)

    def potential_gradient(self, graph: BondedGraph, q: Tensor) -> Tensor:
        """dH/dq, shape (N, d_f)."""
        weights, separations = self._separations(graph, q)
        pull = _energy_gradient(separations).sum(0) * weights.unsqueeze(-1)
        # A pair pulls its second atom one way and its first the other.
        first, second = graph.pairs
        atoms = segment_sum(pull, second, len(q)) - segment_sum(pull, first, len(q))
        return atoms @ self.metric.weight

    def _separations(self, graph: BondedGraph, q: Tensor) -> tuple[Tensor, Tensor]:
        """Weight of each pair (P,), and vectors of length r_ij, one for each order.

        Where both orders are equal there is one of them: (1, P, d_f) or (2, P, d_f).
        """
        first, second = graph.pairs
        x = q @ self.metric.weight.T
        apart = x.index_select(0, second) - x.index_select(0, first)
        if not self.repo:
            return apart.new_full((len(apart),), 2.0), apart.unsqueeze(0)
        weights = graph.masses[first] * graph.masses[second]
        bias = self.metric.bias
        return weights, torch.stack([apart + bias, apart - bias])


def _energy(y: Tensor) -> Tensor:
    """``r^-4 - r^-2`` of vectors (..., d), shape (...)."""
    inverse = softplus(y.square().sum(-1)).reciprocal()
    return inverse.square() - inverse


def _energy_gradient(y: Tensor) -> Tensor:
    """Derivative of `_energy` with respect to the vectors, shape (..., d)."""
    squared = y.square().sum(-1, keepdim=True)
    inverse = softplus(squared).reciprocal()
    slope = inverse.square() - 2 * inverse**3
    return 2 * slope * torch.sigmoid(squared) * y
