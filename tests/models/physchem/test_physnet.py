"""Forces against loops over the equations; symmetry of the laws beyond the paper."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, softplus

from ase_physml.bonded_graph import BondedGraph
from ase_physml.models.physchem.pair_laws import EquivariantLaw, SpringLaw
from ase_physml.models.physchem.physnet import BoundedLaw, PaperLaw, PhysNet

WIDTH, BONDS, TAU = 7, 5, 0.25
Build = Callable[..., BondedGraph]


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def states(graph: BondedGraph) -> tuple[Tensor, Tensor]:
    """Atom states, and bond states that are equal in both directions."""
    e = random(len(graph.source), BONDS, seed=1)
    return random(len(graph.molecule), WIDTH), e + e[graph.reverse]


def law_named(name: str) -> nn.Module:
    torch.manual_seed(0)
    laws: dict[str, Callable[[], nn.Module]] = {
        "paper": lambda: PaperLaw(BONDS, 3),
        "bounded": lambda: BoundedLaw(WIDTH, BONDS, 3),
        "equivariant": lambda: EquivariantLaw(WIDTH, BONDS, 6, 2),
        "springs": lambda: SpringLaw(WIDTH, BONDS, 6, 2, TAU),
    }
    return laws[name]().double()


def strength_of_paper(
    law: nn.Module, gap: Tensor, ends: Tensor, e: Tensor, masses: Tensor
) -> tuple[Tensor, Tensor]:
    r = (law.reach.weight @ gap).square().sum().add(0.1).sqrt()
    return (r**-2 - r**-1) * masses, law.torsion(e)


def strength_of_code(
    law: nn.Module, gap: Tensor, ends: Tensor, e: Tensor, masses: Tensor
) -> tuple[Tensor, Tensor]:
    r = softplus(law.reach(gap)).norm()
    hidden = leaky_relu(law.of_atoms(ends) + law.of_bond(torch.sigmoid(e)))
    return torch.tanh((r**-2 - r**-1) * masses), torch.tanh(law.torsion(hidden))


def naive_forces(
    law: nn.Module, strengths: Callable[..., tuple[Tensor, Tensor]],
    graph: BondedGraph, v: Tensor, e: Tensor, q: Tensor,
) -> Tensor:  # fmt: skip
    """Sum over j of positional and, where bonded, torsion forces on each i."""
    forces = torch.zeros_like(q)
    bonded = {
        (int(i), int(j)): e[k]
        for k, (i, j) in enumerate(zip(graph.target, graph.source, strict=True))
    }
    for i in range(len(q)):
        for j in range(len(q)):
            if i == j or graph.molecule[i] != graph.molecule[j]:
                continue
            gap = q[i] - q[j]
            ends = torch.sigmoid(v[i]) + torch.sigmoid(v[j])
            bond = bonded.get((i, j), torch.zeros(BONDS).double())
            masses = graph.masses[i] * graph.masses[j]
            positional, torsion = strengths(law, gap, ends, bond, masses)
            strength = positional + torsion * ((i, j) in bonded)
            forces[i] += strength * gap / gap.norm()
    return forces


@pytest.mark.parametrize(
    ("name", "strengths"), [("paper", strength_of_paper), ("bounded", strength_of_code)]
)
def test_steps_are_hand_rolled_euler_steps(
    name: str, strengths: Callable[..., tuple[Tensor, Tensor]], graph: BondedGraph
) -> None:
    law, (v, e) = law_named(name), states(graph)
    q, p = random(len(v), 3, seed=2), random(len(v), 3, seed=3)
    found = PhysNet(law, 2, TAU, "euler", 0.0)(graph, v, e, q, p)
    masses = graph.masses[:, None]
    first = naive_forces(law, strengths, graph, v, e, q)
    q1, p1 = q + TAU * p / masses, p + TAU * first
    second = naive_forces(law, strengths, graph, v, e, q1)
    q2, p2 = q1 + TAU * p1 / masses, p1 + TAU * second
    torch.testing.assert_close(found.path, [q1, q2])
    torch.testing.assert_close(found.momenta, p2)
    torch.testing.assert_close(found.forces, second)


def test_symplectic_step_with_friction(graph: BondedGraph) -> None:
    law, (v, e) = law_named("springs"), states(graph)
    q, p = random(len(v), 3, seed=2), random(len(v), 3, seed=3)
    found = PhysNet(law, 1, TAU, "symplectic", 0.3)(graph, v, e, q, p)
    p1 = 0.7 * p + TAU * law(graph, v, e).forces(q)
    torch.testing.assert_close(found.momenta, p1)
    torch.testing.assert_close(found.path[0], q + TAU * p1 / graph.masses[:, None])


def rotoreflection() -> Tensor:
    orthogonal, _ = torch.linalg.qr(random(3, 3, seed=5))
    return orthogonal * -torch.linalg.det(orthogonal).sign()


@pytest.mark.parametrize("name", ["equivariant", "springs"])
def test_motion_turns_and_shifts_with_the_frame(name: str, graph: BondedGraph) -> None:
    physnet = PhysNet(law_named(name), 5, TAU, "euler", 0.0)
    v, e = states(graph)
    q, p = random(len(v), 3, seed=2), random(len(v), 3, seed=3)
    turn, shift = rotoreflection(), random(3, seed=4)
    here = physnet(graph, v, e, q, p)
    there = physnet(graph, v, e, q @ turn + shift, p @ turn)
    torch.testing.assert_close(there.path, [x @ turn + shift for x in here.path])
    torch.testing.assert_close(there.momenta, here.momenta @ turn)


@pytest.mark.parametrize("name", ["equivariant", "springs"])
def test_momentum_is_conserved(name: str, graph: BondedGraph) -> None:
    physnet = PhysNet(law_named(name), 5, TAU, "euler", 0.0)
    v, e = states(graph)
    q, p = random(len(v), 3, seed=2), random(len(v), 3, seed=3)
    after = physnet(graph, v, e, q, p).momenta
    assert not torch.allclose(after, p)
    for molecule in range(graph.n_molecules):
        atoms = graph.molecule == molecule
        torch.testing.assert_close(after[atoms].sum(0), p[atoms].sum(0))


def test_forces_of_the_paper_depend_on_the_frame(graph: BondedGraph) -> None:
    law, (v, e) = law_named("paper"), states(graph)
    forces, q, turn = law(graph, v, e).forces, random(len(v), 3), rotoreflection()
    assert not torch.allclose(forces(q @ turn), forces(q) @ turn, rtol=1e-3)


def test_springs_bring_two_atoms_to_their_distance(build: Build) -> None:
    graph = build((2, [(0, 1)]))
    v, e = states(graph)
    law = law_named("springs")
    q, p = random(2, 3, seed=2), torch.zeros(2, 3).double()
    motion = PhysNet(law, 60, TAU, "symplectic", 0.5)(graph, v, e, q, p)
    found = (motion.path[-1][0] - motion.path[-1][1]).norm()
    assert motion.distances is not None
    torch.testing.assert_close(found, motion.distances[0], atol=1e-6, rtol=0.0)


def test_springs_are_stable_in_large_molecules(build: Build) -> None:
    n = 60
    graph = build((n, [(i, i + 1) for i in range(n - 1)]))
    v, e = states(graph)
    q, p = random(n, 3, seed=2), random(n, 3, seed=3)
    physnet = PhysNet(law_named("springs"), 40, TAU, "symplectic", 0.5)
    motion = physnet(graph, v, e, q, p)
    assert motion.distances is not None
    i, j = graph.pairs

    def error(x: Tensor) -> Tensor:
        gaps = (x.index_select(0, i) - x.index_select(0, j)).norm(dim=-1)
        return (gaps - motion.distances).square().mean()

    assert error(motion.path[-1]) < 0.5 * error(q)
