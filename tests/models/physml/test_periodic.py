"""Periodic cells: the same crystal however it is described, and exact derivatives."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor

from ase_physml.graph import AllPairs, EdgeList, PeriodicEdgeList
from ase_physml.models.energy_model import (
    energy_and_forces,
    energy_forces_and_strain,
)
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML

CUTOFF, PAIR_CUTOFF = 4.0, 5.0
CONFIG = PhysMLConfig(
    elements=(1, 6, 8, 29), cutoff=CUTOFF, pair_cutoff=PAIR_CUTOFF,
    width=16, depth=2, heads=4, n_basis=8,
)  # fmt: skip
NUMBERS = [29, 8, 1]
FULL, SLAB, WIRE, NONE = (
    [True] * 3,
    [True, True, False],
    [False, False, True],
    [False] * 3,
)


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# Skewed, left-handed, and with both cutoffs beyond every lattice vector.
CELL = tensor([[2.9, 0.3, -0.2], [1.4, -3.1, 0.4], [-0.9, 0.8, 3.3]])
POSITIONS = tensor([[0.1, 0.2, 0.0], [1.5, -0.9, 1.2], [-0.3, -2.0, 2.1]])


@pytest.fixture(scope="module")
def model() -> PhysML:
    """Far from its tame start, so that every term matters."""
    torch.manual_seed(0)
    model = PhysML(CONFIG).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def crystal(
    positions: Tensor = POSITIONS,
    cell: Tensor = CELL,
    pbc: Sequence[bool] = FULL,
    numbers: Sequence[int] = NUMBERS,
) -> PeriodicEdgeList:
    return PeriodicEdgeList.build_cells(
        torch.tensor(numbers), positions, torch.tensor([len(numbers)]),
        cell[None], torch.tensor([pbc]), CUTOFF, PAIR_CUTOFF,
    )  # fmt: skip


def energy(model: PhysML, graph: EdgeList) -> float:
    return float(model(graph).molecules.detach().sum())


def test_edges_and_pairs_of_a_simple_cubic_atom() -> None:
    graph = PeriodicEdgeList.build_cells(
        torch.tensor([29]), torch.zeros(1, 3), torch.tensor([1]),
        2.0 * torch.eye(3)[None], torch.ones(1, 3, dtype=torch.bool), 2.1, 3.0,
    )  # fmt: skip
    distances = graph.edge_distances()
    assert distances[graph.self_edge].tolist() == [0.0]
    assert distances[~graph.self_edge].tolist() == [2.0] * 6
    # Half of the 6 nearest and of the 12 next images: each half belongs to an atom.
    pairs = graph.pair_distances(distances)
    assert sorted(pairs.tolist()) == pytest.approx([2.0] * 3 + [8.0**0.5] * 6)
    assert graph.sum_pairs(torch.ones(9)).tolist() == [9.0]


def test_a_cell_is_the_middle_of_a_large_cluster() -> None:
    # One block and short cutoffs: nothing is felt farther away than 7.4 Å.
    torch.manual_seed(1)
    model = PhysML(replace(CONFIG, depth=1, cutoff=2.0, pair_cutoff=3.4)).double()
    steps = list(product(range(-4, 5), repeat=3))
    many = torch.cat([POSITIONS + tensor(step) @ CELL for step in steps])
    middle = len(NUMBERS) * steps.index((0, 0, 0)) + torch.arange(len(NUMBERS))
    cluster = EdgeList.build(
        torch.tensor(NUMBERS * len(steps)), many, torch.tensor([len(many)]), 2.0, 3.4
    )
    cell = PeriodicEdgeList.build_cells(
        torch.tensor(NUMBERS), POSITIONS, torch.tensor([3]), CELL[None],
        torch.tensor([FULL]), 2.0, 3.4,
    )  # fmt: skip
    torch.testing.assert_close(
        model(cell).atoms, model(cluster).atoms[middle], atol=1e-10, rtol=0
    )


@pytest.mark.parametrize("repeats", [(2, 1, 1), (1, 3, 1), (2, 2, 2)])
def test_supercell(model: PhysML, repeats: tuple[int, int, int]) -> None:
    energies, forces, by_strain = energy_forces_and_strain(model, crystal())
    steps = list(product(*map(range, repeats)))
    n = len(steps)
    larger = crystal(
        torch.cat([POSITIONS + tensor(step) @ CELL for step in steps]),
        tensor(repeats).unsqueeze(-1) * CELL,
        numbers=NUMBERS * n,
    )
    energies_n, forces_n, by_strain_n = energy_forces_and_strain(model, larger)
    close = {"rtol": 1e-8, "atol": 1e-9}
    torch.testing.assert_close(energies_n.molecules, n * energies.molecules, **close)
    torch.testing.assert_close(energies_n.atoms, energies.atoms.repeat(n), **close)
    torch.testing.assert_close(forces_n, forces.repeat(n, 1), **close)
    torch.testing.assert_close(by_strain_n, n * by_strain, rtol=1e-8, atol=1e-8)


RETOLD: dict[str, Callable[[], PeriodicEdgeList]] = {
    "moved": lambda: crystal(POSITIONS + tensor([0.7, -13.0, 4.1])),
    "atoms outside": lambda: crystal(
        POSITIONS + tensor([[0, 0, 1], [-2, 3, 0], [5, -1, -7]]) @ CELL
    ),
    "other handedness": lambda: crystal(cell=CELL[[1, 0, 2]]),
    "cyclic": lambda: crystal(cell=CELL[[2, 0, 1]]),
    "reversed": lambda: crystal(cell=-CELL),
    "needle": lambda: crystal(
        cell=tensor([[1, 0, 0], [4, 1, 0], [-3, 5, 1]]) @ CELL
    ),
}  # fmt: skip


@pytest.mark.parametrize("retold", RETOLD.values(), ids=RETOLD.keys())
def test_the_same_crystal(
    model: PhysML, retold: Callable[[], PeriodicEdgeList]
) -> None:
    energies, forces, by_strain = energy_forces_and_strain(model, crystal())
    found, forces_2, by_strain_2 = energy_forces_and_strain(model, retold())
    close = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(found.atoms, energies.atoms, **close)
    torch.testing.assert_close(forces_2, forces, **close)
    torch.testing.assert_close(by_strain_2, by_strain, rtol=1e-8, atol=1e-8)


def test_a_turned_crystal_has_turned_forces_and_strain(model: PhysML) -> None:
    turn, _ = torch.linalg.qr(tensor([[1, 2, 0.5], [0, 1, 3], [1, 0, 1]]))
    energies, forces, by_strain = energy_forces_and_strain(model, crystal())
    turned = crystal(POSITIONS @ turn, CELL @ turn)
    energies_2, forces_2, by_strain_2 = energy_forces_and_strain(model, turned)
    torch.testing.assert_close(energies_2.molecules, energies.molecules)
    torch.testing.assert_close(forces_2, forces @ turn, rtol=1e-8, atol=1e-8)
    expected = turn.T @ by_strain @ turn
    torch.testing.assert_close(by_strain_2, expected, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(by_strain, by_strain.mT, rtol=1e-8, atol=1e-8)


def test_a_slab_is_a_crystal_with_vacuum(model: PhysML) -> None:
    far = CELL.clone()
    far[2] = tensor([0.0, 0.0, 60.0])
    vacuum = energy_and_forces(model, crystal(cell=far))
    for third in ([0.0, 0.0, 60.0], [0.0, 0.0, 0.0], [2.0, 1.0, 0.5]):
        open_ = CELL.clone()
        open_[2] = tensor(third)
        slab = energy_and_forces(model, crystal(cell=open_, pbc=SLAB))
        torch.testing.assert_close(slab[0].molecules, vacuum[0].molecules)
        torch.testing.assert_close(slab[1], vacuum[1])


def test_a_wire_is_a_crystal_with_vacuum(model: PhysML) -> None:
    far = torch.diag(tensor([60.0, 60.0, 0.0]))
    far[2] = CELL[2]
    wire = torch.zeros_like(CELL)
    wire[2] = CELL[2]
    assert energy(model, crystal(cell=wire, pbc=WIRE)) == pytest.approx(
        energy(model, crystal(cell=far)), abs=1e-9
    )


def test_a_molecule_in_a_box_is_a_molecule(model: PhysML) -> None:
    alone = AllPairs(torch.tensor([NUMBERS]), POSITIONS[None])
    energies, forces = energy_and_forces(model, alone)
    boxed = crystal(cell=30.0 * torch.eye(3, dtype=torch.float64))
    energies_2, forces_2, by_strain = energy_forces_and_strain(model, boxed)
    torch.testing.assert_close(energies_2.molecules, energies.molecules)
    torch.testing.assert_close(forces_2, forces[0])
    # All that strain does to it, it does through its atoms.
    expected = -POSITIONS.T @ forces[0]
    torch.testing.assert_close(by_strain[0], expected, rtol=1e-8, atol=1e-8)


def test_batches_mix_cells_and_molecules(model: PhysML) -> None:
    cells = [(CELL, FULL), (torch.zeros(3, 3).double(), NONE), (1.1 * CELL, SLAB)]
    together = PeriodicEdgeList.build_cells(
        torch.tensor(NUMBERS * 3), POSITIONS.repeat(3, 1), torch.tensor([3, 3, 3]),
        torch.stack([cell for cell, _ in cells]), torch.tensor([p for _, p in cells]),
        CUTOFF, PAIR_CUTOFF,
    )  # fmt: skip
    batch = energy_forces_and_strain(model, together)
    molecule = EdgeList.build(
        torch.tensor(NUMBERS), POSITIONS, torch.tensor([3]), CUTOFF, PAIR_CUTOFF
    )
    assert float(batch[0].molecules[1].detach()) == pytest.approx(
        energy(model, molecule), abs=1e-9
    )
    for k, (cell, pbc) in enumerate(cells):
        alone = energy_forces_and_strain(model, crystal(cell=cell, pbc=pbc))
        atoms = slice(3 * k, 3 * k + 3)
        close = {"rtol": 1e-9, "atol": 1e-9}
        torch.testing.assert_close(
            batch[0].molecules[k], alone[0].molecules[0], **close
        )
        torch.testing.assert_close(batch[1][atoms], alone[1], **close)
        torch.testing.assert_close(batch[2][k], alone[2][0], rtol=1e-8, atol=1e-8)


def test_forces_are_the_gradient(model: PhysML) -> None:
    _, forces = energy_and_forces(model, crystal())
    numerical = torch.zeros_like(POSITIONS)
    for place in product(range(3), range(3)):
        step = torch.zeros_like(POSITIONS)
        step[place] = 1e-5
        ahead, behind = (energy(model, crystal(POSITIONS + s * step)) for s in (1, -1))
        numerical[place] = (behind - ahead) / 2e-5
    scale = max(1.0, float(forces.abs().max()))
    torch.testing.assert_close(forces, numerical, rtol=0, atol=1e-6 * scale)
    torch.testing.assert_close(
        forces.sum(0), torch.zeros(3).double(), rtol=0, atol=1e-9 * scale
    )


@pytest.mark.parametrize("pbc", [FULL, SLAB], ids=["crystal", "slab"])
def test_strain_derivatives_are_the_gradient(model: PhysML, pbc: list[bool]) -> None:
    *_, by_strain = energy_forces_and_strain(model, crystal(pbc=pbc))
    numerical = torch.zeros_like(CELL)
    for place in product(range(3), range(3)):
        strain = torch.zeros_like(CELL)
        strain[place] = 1e-6
        ahead, behind = (
            energy(
                model,
                crystal(
                    POSITIONS + s * POSITIONS @ strain, CELL + s * CELL @ strain, pbc
                ),
            )
            for s in (1, -1)
        )
        numerical[place] = (ahead - behind) / 2e-6
    scale = max(1.0, float(by_strain.abs().max()))
    torch.testing.assert_close(by_strain[0], numerical, rtol=0, atol=1e-6 * scale)


def test_a_loss_on_forces_and_strain_reaches_the_weights(model: PhysML) -> None:
    _, forces, by_strain = energy_forces_and_strain(model, crystal(), create_graph=True)
    loss = forces.square().sum() + by_strain.square().sum()
    weights = model.basis.centres
    (gradient,) = torch.autograd.grad(loss, weights)
    value, step = weights.detach().clone(), torch.zeros_like(weights)
    step[2, 3] = 1e-5
    losses = []
    for sign in (1, -1):
        with torch.no_grad():
            weights.copy_(value + sign * step)
        _, forces, by_strain = energy_forces_and_strain(model, crystal())
        losses.append(float(forces.square().sum() + by_strain.square().sum()))
    with torch.no_grad():
        weights.copy_(value)
    numerical = (losses[0] - losses[1]) / 2e-5
    assert float(gradient[2, 3]) == pytest.approx(numerical, rel=1e-4)


def test_pairs_in_parts_give_the_same(
    model: PhysML, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for size in (50_000, 7):
        monkeypatch.setattr("ase_physml.graph.ragged._PAIRS", size)
        energies, forces, by_strain = energy_forces_and_strain(model, crystal())
        results.append([energies.molecules, energies.pairs, forces, by_strain])
    for whole, parts in zip(*results, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-9, atol=1e-9)
