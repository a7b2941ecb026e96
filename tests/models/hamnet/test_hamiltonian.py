"""Derivatives in closed form are those of the energies; the energies do their job."""

import pytest
import torch
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.hamnet.hamiltonian import Hamiltonian

WIDTH = 6


def build(repo: bool = False, dissipation: bool = True) -> Hamiltonian:
    torch.manual_seed(0)
    config = HamNetConfig(state_width=WIDTH, repo=repo, dissipation=dissipation)
    return Hamiltonian(config).double()


def state(graph: BondedGraph, seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    q, p = torch.randn(2, len(graph.masses), WIDTH, dtype=torch.float64)
    return q.requires_grad_(), p.requires_grad_()


def naive_energies(
    engine: Hamiltonian, graph: BondedGraph, q: Tensor, p: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """T, U and Phi summed over the batch, as the equations are printed."""
    half = 1.0 if engine.repo else 0.5
    kinetic = dissipation = potential = torch.zeros((), dtype=torch.float64)
    for i, m in enumerate(graph.masses):
        assert engine.dissipation is not None
        kinetic = kinetic + half * (engine.kinetic.weight @ p[i]).square().sum() / m
        lost = (engine.dissipation.weight @ p[i]).square().sum()
        dissipation = dissipation + half * lost / m**2
        for j, m_j in enumerate(graph.masses):
            if i == j or graph.molecule[i] != graph.molecule[j]:
                continue
            apart = engine.metric.weight @ (q[j] - q[i])
            if engine.repo:
                apart = apart + engine.metric.bias
            r = torch.nn.functional.softplus(apart.square().sum()).sqrt()
            weight = m * m_j if engine.repo else 1.0
            potential = potential + weight * (r**-4 - r**-2)
    return kinetic, potential, dissipation


@pytest.mark.parametrize("repo", [False, True])
def test_energies_are_equations_8_and_9(graph: BondedGraph, repo: bool) -> None:
    engine, (q, p) = build(repo), state(graph)
    found = engine.energies(graph, q, p)
    for one, expected in zip(found, naive_energies(engine, graph, q, p), strict=True):
        assert one.shape == (graph.n_molecules,)
        assert one.sum().item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("repo", [False, True])
def test_closed_forms_are_the_derivatives(graph: BondedGraph, repo: bool) -> None:
    engine, (q, p) = build(repo), state(graph)
    kinetic, potential, dissipation = engine.energies(graph, q, p)
    (by_p,) = torch.autograd.grad((kinetic + potential).sum(), p, retain_graph=True)
    (by_q,) = torch.autograd.grad((kinetic + potential).sum(), q)
    (phi_by_p,) = torch.autograd.grad(dissipation.sum(), p)
    velocity, friction = engine.motion(graph, p, engine.squares())
    mass = graph.masses.unsqueeze(-1)
    assert torch.allclose(velocity, by_p, rtol=0, atol=1e-10)
    assert torch.allclose(friction, mass * phi_by_p, rtol=0, atol=1e-10)
    found = engine.potential_gradient(graph, q)
    assert torch.allclose(found, by_q, rtol=0, atol=1e-10)
    assert by_q.abs().max() > 0.01


def test_a_step_is_equation_6(graph: BondedGraph) -> None:
    engine, (q, p) = build(), state(graph)
    eta = 0.1
    visited, last = engine.roll(graph, q, p, steps=2, eta=eta)
    for k in range(2):
        assert torch.allclose(visited[k], q)
        velocity, friction = engine.motion(graph, p, engine.squares())
        pull = engine.potential_gradient(graph, q)
        q, p = q + eta * velocity, p - eta * (pull + friction)
    assert torch.allclose(visited[2], q)
    assert torch.allclose(last, p)


def total_after(engine: Hamiltonian, graph: BondedGraph, steps: int) -> Tensor:
    """Energy of each molecule after the same time in so many steps."""
    q, p = state(graph)
    visited, p = engine.roll(graph, q, p, steps, 0.5 / steps)
    kinetic, potential, _ = engine.energies(graph, visited[-1], p)
    return kinetic + potential


@torch.no_grad()
def test_energy_is_conserved_to_first_order_in_the_step(graph: BondedGraph) -> None:
    engine = build(dissipation=False)
    q, p = state(graph)
    kinetic, potential, lost = engine.energies(graph, q, p)
    start = kinetic + potential
    assert (lost == 0).all()
    coarse = total_after(engine, graph, 1000) - start
    fine = total_after(engine, graph, 2000) - start
    moving = coarse.abs() > 1e-9
    assert moving.any()
    ratios = coarse[moving] / fine[moving]
    assert ratios.tolist() == pytest.approx([2.0] * len(ratios), rel=0.02)


def test_dissipation_takes_energy_out(graph: BondedGraph) -> None:
    engine = build()
    # Friction along the velocity; for W that do not commute it may push as well.
    with torch.no_grad():
        engine.kinetic.weight.copy_(torch.eye(4 * WIDTH, WIDTH))
    q, p = state(graph)
    eta, energy = 1e-4, []
    for _ in range(50):
        kinetic, potential, power = engine.energies(graph, q, p)
        energy.append((kinetic + potential).detach())
        visited, p = engine.roll(graph, q, p, 1, eta)
        q = visited[-1]
    falls = torch.stack(energy).diff(dim=0)
    assert (falls < 0).all()
    # dH/dt = -2 Phi: at the rate that Rayleigh's function says.
    rates = falls[-1] / eta
    assert rates.tolist() == pytest.approx((-2 * power).tolist(), rel=0.02)


def test_atoms_in_one_place_stay_finite(graph: BondedGraph) -> None:
    engine, (_, p) = build(), state(graph)
    q = torch.zeros_like(p, requires_grad=True)
    visited, _ = engine.roll(graph, q, p, steps=20, eta=0.025)
    visited[-1].square().sum().backward()
    assert visited[-1].isfinite().all()
    assert q.grad is not None and q.grad.isfinite().all()
    assert engine.energies(graph, q, p).potential.isfinite().all()
