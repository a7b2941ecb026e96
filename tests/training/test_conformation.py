"""Losses and metrics of conformations against one molecule, one pair at a time."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph
from ase_physml.chem.collate import collate, graph_of
from ase_physml.chem.features import featurise
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.errors import DataError
from ase_physml.training.losses import conformation

# Chains, rings, a molecule of one atom, and two ions without a bond between them.
SMILES = ("CCO", "C", "OC1CCCC1N", "[Na+].[Cl-]", "C#N", "CC(=O)Oc1ccccc1")
Loss = Callable[[BondedGraph, Tensor], Tensor]
SCALARS: tuple[Loss, ...] = (
    conformation.conn_loss,
    conformation.adj_loss,
    conformation.kabsch_loss,
)


def batch(smiles: tuple[str, ...] = SMILES, seed: int = 0) -> BondedGraph:
    """Molecules whose true conformation is random, in float64."""
    graph = collate(MoleculeStore.of([featurise(s) for s in smiles])).to(torch.float64)
    torch.manual_seed(seed)
    return replace(graph, positions=2 * torch.randn(len(graph.masses), 3).double())


def guess(graph: BondedGraph, seed: int = 1) -> Tensor:
    torch.manual_seed(seed)
    return 2 * torch.randn(len(graph.masses), 3).double()


def truth(graph: BondedGraph) -> Tensor:
    assert graph.positions is not None
    return graph.positions


def rotation(seed: int = 0, proper: bool = True) -> Tensor:
    torch.manual_seed(seed)
    q = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    q[:, 0] *= torch.linalg.det(q).sign() * (1 if proper else -1)
    return q


def by_molecule(graph: BondedGraph, positions: Tensor) -> list[tuple[Tensor, ...]]:
    """Bonds (n, n), masses, predicted and true positions of each molecule."""
    bonds = torch.zeros(len(positions), len(positions)).double()
    bonds[graph.source, graph.target] = 1.0
    rows = [graph.molecule == k for k in range(graph.n_molecules)]
    return [
        (bonds[r][:, r], graph.masses[r], positions[r], truth(graph)[r]) for r in rows
    ]


def squared_errors(x: Tensor, y: Tensor) -> Tensor:
    return (torch.cdist(x, x) - torch.cdist(y, y)).square()


@pytest.mark.parametrize("hops", [1, 2, 3, None])
def test_conn_loss_is_equation_12(hops: int | None) -> None:
    graph = batch()
    positions, losses = guess(graph), []
    for bonds, _, x, y in by_molecule(graph, positions):
        n = len(x)
        near = torch.ones(n, n).double()
        if hops is not None:
            near = (torch.matrix_power(bonds + torch.eye(n), hops) > 0).double()
        sums = near.sum(1)
        scaled = near / (sums[:, None] * sums[None]).sqrt()
        losses.append((scaled * squared_errors(x, y)).sum() / n)
    found = conformation.conn_loss(graph, positions, hops)
    assert found.item() == pytest.approx(sum(losses).item() / len(losses), rel=1e-6)


def test_conn_of_all_pairs_is_the_mean_squared_distance_error() -> None:
    graph = batch()
    found = conformation.conn_loss(graph, guess(graph), None)
    every = conformation.distance_mse(graph, guess(graph))
    assert found.item() == pytest.approx(every.mean().item())


def test_the_printed_conn_loss_is_a_norm() -> None:
    """``|| (1/n) L^-1/2 C L^-1/2 (.) dD (.) dD ||_F`` of each molecule."""
    graph = batch()
    positions, losses = guess(graph), []
    for bonds, _, x, y in by_molecule(graph, positions):
        n = len(x)
        near = (torch.matrix_power(bonds + torch.eye(n), 3) > 0).double()
        scale = near.sum(1).rsqrt()
        matrix = scale[:, None] * near * scale * squared_errors(x, y) / n
        losses.append(matrix.norm().item())
    found = conformation.conn_loss(graph, positions, 3, norm=True)
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-6)


def test_printed_weights_of_steps() -> None:
    """``eta^(T - t) / Z``: with eight steps and 0.01 260 times what sums to one."""
    printed = conformation.decay_weights(8, 0.625, z=0.01)
    expected = 100.0 * 0.625 ** torch.arange(7.0, -1.0, -1.0).double()
    torch.testing.assert_close(printed, expected)
    assert printed.sum().item() == pytest.approx(260.5, abs=0.1)
    graph = batch()
    steps = torch.stack([guess(graph, seed) for seed in range(9)])
    scaled = conformation.trajectory_loss(graph, steps)
    found = conformation.trajectory_loss(graph, steps, z=0.01)
    assert (found / scaled).item() == pytest.approx(printed.sum().item())


def test_trajectories_weigh_the_last_step_most() -> None:
    graph = batch()
    steps = torch.stack([guess(graph, seed) for seed in range(4)])
    losses = [conformation.conn_loss(graph, x).item() for x in steps]
    weights = [0.5**2, 0.5, 1.0]
    expected = sum(w * x for w, x in zip(weights, losses[1:], strict=True)) / 1.75
    found = conformation.trajectory_loss(graph, steps, decay=0.5)
    assert found.item() == pytest.approx(expected)
    weights = [0.5**3, *weights]
    expected = sum(w * x for w, x in zip(weights, losses, strict=True)) / 1.875
    found = conformation.trajectory_loss(graph, steps, decay=0.5, from_start=True)
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize("power", [1, 3])
def test_adj_loss_is_equation_16(power: int) -> None:
    graph = batch()
    positions, losses = guess(graph), []
    for bonds, _, x, y in by_molecule(graph, positions):
        n = len(x)
        a = bonds + torch.eye(n)
        a = a / (a.sum(1)[:, None] * a.sum(1)[None]).sqrt()
        errors = (torch.cdist(x, x).square() - torch.cdist(y, y).square()).square()
        losses.append((torch.matrix_power(a, power) * errors).sum() / n)
    found = conformation.adj_loss(graph, positions, power)
    assert found.item() == pytest.approx(sum(losses).item() / len(losses), rel=1e-6)
    roots = [loss.sqrt().item() for loss in losses]
    found = conformation.adj_loss(graph, positions, power, root=True)
    assert found.item() == pytest.approx(sum(roots) / len(roots), rel=1e-6)


def test_squared_distance_loss_is_equation_15() -> None:
    graph = batch()
    positions = guess(graph)
    found = conformation.squared_distance_loss(graph, positions)
    for k, (_, _, x, y) in enumerate(by_molecule(graph, positions)):
        errors = torch.cdist(x, x).square() - torch.cdist(y, y).square()
        expected = errors.square().mean().sqrt().item()
        assert found[k].item() == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.filterwarnings("ignore:Optimal rotation is not uniquely")
@pytest.mark.parametrize("mass_weighted", [False, True])
def test_kabsch_rmsd_is_that_of_scipy(mass_weighted: bool) -> None:
    from scipy.spatial.transform import Rotation

    graph = batch()
    found = conformation.kabsch_rmsd(graph, guess(graph), mass_weighted)
    for k, (_, masses, x, y) in enumerate(by_molecule(graph, guess(graph))):
        w = masses.numpy() if mass_weighted else np.ones(len(x))
        if len(x) == 1:
            assert found[k].item() == pytest.approx(0.0, abs=1e-7)
            continue
        a, b = (v.numpy() - np.average(v.numpy(), 0, w) for v in (x, y))
        _, total = Rotation.align_vectors(a, b, weights=w)
        assert found[k].item() == pytest.approx(total / math.sqrt(w.sum()), rel=1e-6)


def test_kabsch_never_reflects_unless_it_may() -> None:
    graph = batch()
    mirrored = truth(graph) @ rotation(proper=False)
    flat = torch.tensor([0, 1, 3, 4])  # Three atoms or less: their own mirror images.
    solid = torch.tensor([2, 5])
    found = conformation.kabsch_rmsd(graph, mirrored)
    assert (found[solid] > 0.1).all()
    assert (found[flat] < 1e-6).all()
    assert (conformation.kabsch_rmsd(graph, mirrored, mirror=True) < 1e-6).all()
    rotations = conformation._best_rotations(graph, guess(graph), truth(graph), False)
    assert torch.linalg.det(rotations).tolist() == pytest.approx([1.0] * len(SMILES))


@pytest.mark.parametrize("loss", SCALARS)
def test_losses_do_not_feel_rigid_motion(loss: Loss) -> None:
    graph = batch()
    shifts = torch.randn(graph.n_molecules, 3).double()[graph.molecule]
    moved = truth(graph) @ rotation() + shifts
    assert loss(graph, moved).item() == pytest.approx(0.0, abs=1e-7)
    wrong = guess(graph)
    here, there = loss(graph, wrong), loss(graph, wrong @ rotation() + shifts)
    assert there.item() == pytest.approx(here.item())
    assert here.item() > 0.1


@pytest.mark.parametrize("loss", SCALARS)
@pytest.mark.parametrize("shape", ["solid", "planar", "linear"])
def test_gradients_are_exact(loss: Loss, shape: str) -> None:
    graph = batch()
    axes = {"solid": [1, 1, 1], "planar": [1, 1, 0], "linear": [1, 0, 0]}[shape]
    graph = replace(graph, positions=truth(graph) * torch.tensor(axes))
    positions = guess(graph).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(graph, x), positions, atol=1e-6)


@pytest.mark.parametrize("loss", SCALARS)
def test_atoms_in_one_place_give_numbers(loss: Loss) -> None:
    graph = batch()
    positions = torch.zeros_like(truth(graph)).requires_grad_()
    value = loss(graph, positions)
    value.backward()
    assert value.isfinite()
    assert positions.grad is not None and positions.grad.isfinite().all()
    exact = truth(graph).clone().requires_grad_()
    loss(graph, exact).backward()
    assert exact.grad is not None and exact.grad.isfinite().all()


@pytest.mark.parametrize("loss", SCALARS)
def test_a_diverged_prediction_is_nan(loss: Loss) -> None:
    graph = batch()
    assert loss(graph, torch.full_like(truth(graph), math.nan)).isnan()


def test_metrics_are_what_they_say() -> None:
    graph = batch()
    errors = conformation.conformation_errors(graph, guess(graph))
    for k, (_, _, x, y) in enumerate(by_molecule(graph, guess(graph))):
        n, total = len(x), squared_errors(x, y).sum().item()
        assert errors["distance_mse"][k].item() == pytest.approx(total / n**2)
        assert errors["distance_rms"][k].item() == pytest.approx(total**0.5 / n)
        assert errors["legacy_hamnet_distance"][k].item() == pytest.approx(total / n**4)
    assert (errors["kabsch_rmsd_or_mirror"] <= errors["kabsch_rmsd"] + 1e-12).all()
    assert all(len(value) == graph.n_molecules for value in errors.values())


@pytest.mark.parametrize("loss", SCALARS)
def test_molecules_without_a_conformation_count_nowhere(
    loss: Loss,
) -> None:
    graph = batch()
    known = graph.molecule != 2
    partly = replace(
        graph, positions=truth(graph).masked_fill(~known.unsqueeze(-1), math.nan)
    )
    rest = replace(
        batch(tuple(s for k, s in enumerate(SMILES) if k != 2)),
        positions=truth(graph)[known],
    )
    positions = guess(graph).requires_grad_()
    value = loss(partly, positions)
    assert value.item() == pytest.approx(loss(rest, guess(graph)[known]).item())
    value.backward()
    assert positions.grad is not None and positions.grad.isfinite().all()
    errors = conformation.distance_rms(partly, guess(graph))
    assert errors.isnan().tolist() == [k == 2 for k in range(graph.n_molecules)]


def test_without_any_conformation_there_is_an_error() -> None:
    graph = graph_of("CCO")
    with pytest.raises(DataError, match="give positions"):
        conformation.conn_loss(graph, torch.zeros(3, 3))
