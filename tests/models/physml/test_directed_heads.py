"""Heads that know angles: symmetric, smooth, and of more than distances."""

from dataclasses import replace

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from ase_physml.graph import AllPairs, EdgeList
from ase_physml.models.energy_model import energy_and_forces
from ase_physml.models.physml.attention import DirectedHeads, directions_of
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML

CONFIG = PhysMLConfig(
    elements=(1, 6, 8), width=16, depth=2, heads=2, n_basis=6, cutoff=4.0, angular=3
)


@pytest.fixture
def model() -> PhysML:
    torch.manual_seed(3)
    return PhysML(CONFIG).double()


def atoms(seed: int = 0, count: int = 6) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    numbers = torch.tensor([1, 6, 8])[torch.randint(0, 3, (1, count), generator=random)]
    positions = 1.5 * torch.randn(1, count, 3, generator=random, dtype=torch.float64)
    return numbers, positions


def test_turned_and_mirrored_it_is_the_same(model: PhysML) -> None:
    numbers, positions = atoms()
    turn = torch.tensor(Rotation.random(random_state=0).as_matrix())
    energy, forces = energy_and_forces(model, AllPairs(numbers, positions))
    for matrix in (turn, -turn):
        moved = AllPairs(numbers, positions @ matrix.T)
        other, turned = energy_and_forces(model, moved)
        torch.testing.assert_close(other.molecules, energy.molecules)
        torch.testing.assert_close(turned, forces @ matrix.T)


def test_forces_are_slopes_and_layouts_agree(model: PhysML) -> None:
    numbers, positions = atoms(1)
    _, forces = energy_and_forces(model, AllPairs(numbers, positions))
    step = torch.zeros_like(positions)
    step[0, 2, 1] = 1e-5
    above, below = (
        model(AllPairs(numbers, positions + sign * step)).molecules for sign in (1, -1)
    )
    slope = (above - below) / 2e-5
    torch.testing.assert_close(-slope[0], forces[0, 2, 1], rtol=1e-5, atol=1e-8)
    count = torch.tensor([numbers.shape[1]])
    listed = EdgeList.build(numbers[0], positions[0], count, CONFIG.cutoff, 20.0)
    _, as_listed = energy_and_forces(model, listed)
    torch.testing.assert_close(as_listed, forces[0])


def test_sums_of_cosines() -> None:
    """Both squares by hand, as sums over pairs of neighbours."""
    torch.manual_seed(0)
    numbers, positions = atoms(2, 4)
    graph = AllPairs(numbers, positions)
    heads = DirectedHeads(4, 1, 1).double()
    heads.out.weight.data = torch.eye(2, 2).repeat(2, 1).double()
    x = torch.randn(1, 4, 4, dtype=torch.float64)
    weights = torch.rand(1, 4, 4, 1, dtype=torch.float64)
    found = heads(graph, x, weights, directions_of(graph, graph.edge_distances()))
    sent = weights[..., 0] * heads.values(x)[..., 0].unsqueeze(1)
    gaps = positions.unsqueeze(1) - positions.unsqueeze(2)
    unit = gaps / (gaps.norm(dim=-1, keepdim=True) + torch.eye(4)[None, ..., None])
    cosines = torch.einsum("mija,mika->mijk", unit, unit)
    for k, power in enumerate((1, 2)):
        expected = torch.einsum("mij,mik,mijk->mi", sent, sent, cosines**power)
        torch.testing.assert_close(found[..., k], expected)


def test_atoms_see_what_distances_do_not() -> None:
    """Two neighbours beyond each other's cutoff, at 100 and at 180 degrees."""
    energies = {}
    for angular in (0, 3):
        torch.manual_seed(3)
        config = replace(
            CONFIG, angular=angular, depth=1, pair_energy=False, cutoff=2.0
        )
        model = PhysML(config).double()
        for degrees in (100.0, 180.0):
            turn = torch.tensor(degrees * torch.pi / 180.0, dtype=torch.float64)
            end = 1.5 * torch.stack([turn.cos(), turn.sin(), 0 * turn])
            here = torch.stack([0 * end, torch.eye(3).double()[0] * 1.5, end])
            graph = AllPairs(torch.tensor([[8, 1, 1]]), here[None])
            energies[angular, degrees] = model(graph).molecules.item()
    assert energies[0, 100.0] == pytest.approx(energies[0, 180.0], abs=1e-12)
    assert abs(energies[3, 100.0] - energies[3, 180.0]) > 1e-9
