"""The acceptance tests of the model: symmetry, smoothness, exact forces."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ase_physml.errors import PotentialError
from ase_physml.graph import AllPairs, EdgeList
from ase_physml.models.energy_model import energy_and_forces
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML

SMALL = PhysMLConfig(width=16, depth=2, heads=4, n_basis=8)
TWO_WAY = replace(SMALL, cls="two-way", cls_energy=True)
VARIANTS = {
    "default": SMALL,
    "one-way": replace(SMALL, cls="one-way", cls_energy=True),
    "two-way": TWO_WAY,
    "base": replace(SMALL, pair_energy=False, mam=False),
    "pairs only": replace(SMALL, atom_energy=False),
    "cls only": replace(TWO_WAY, pair_energy=False, atom_energy=False),
}


def build(config: PhysMLConfig, seed: int = 0) -> PhysML:
    """A model far from its tame start, so that every term matters."""
    torch.manual_seed(seed)
    model = PhysML(config).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def model(request: pytest.FixtureRequest) -> PhysML:
    return build(request.param)


@pytest.fixture
def graph() -> AllPairs:
    generator = torch.Generator().manual_seed(3)
    numbers = torch.tensor([[6, 8, 1, 1, 7], [6, 6, 1, 8, 1]])
    positions = 1.6 * torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    return AllPairs(numbers, positions)


def energy(model: PhysML, graph: AllPairs) -> Tensor:
    return model(graph).molecules.detach()


def rotation(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    square = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    orthogonal, _ = torch.linalg.qr(square)
    return orthogonal * torch.linalg.det(orthogonal)


SYMMETRIES: dict[str, Callable[[Tensor], Tensor]] = {
    "rotation": lambda p: p @ rotation(1),
    "reflection": lambda p: p * torch.tensor([1.0, 1.0, -1.0], dtype=p.dtype),
    "translation": lambda p: p + torch.tensor([3.0, -50.0, 7.0], dtype=p.dtype),
}


@pytest.mark.parametrize("symmetry", SYMMETRIES.values(), ids=SYMMETRIES.keys())
def test_energy_is_invariant(
    model: PhysML, graph: AllPairs, symmetry: Callable[[Tensor], Tensor]
) -> None:
    moved = graph.replace(positions=symmetry(graph.positions))
    torch.testing.assert_close(
        energy(model, moved), energy(model, graph), atol=1e-9, rtol=0
    )


def test_permutation_permutes_atoms_and_forces(model: PhysML, graph: AllPairs) -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = AllPairs(graph.numbers[:, order], graph.positions[:, order])
    energies, forces = energy_and_forces(model, graph)
    energies_2, forces_2 = energy_and_forces(model, shuffled)
    close = {"atol": 1e-9, "rtol": 0.0}
    torch.testing.assert_close(energies_2.molecules, energies.molecules, **close)
    torch.testing.assert_close(energies_2.atoms, energies.atoms[:, order], **close)
    torch.testing.assert_close(forces_2, forces[:, order], **close)


def test_forces_neither_push_nor_turn_the_molecule(
    model: PhysML, graph: AllPairs
) -> None:
    _, forces = energy_and_forces(model, graph)
    torque = torch.linalg.cross(graph.positions, forces).sum(1)
    zero = torch.zeros(2, 3, dtype=torch.float64)
    torch.testing.assert_close(forces.sum(1), zero, atol=1e-9, rtol=0)
    torch.testing.assert_close(torque, zero, atol=1e-8, rtol=0)


def central_differences(model: PhysML, graph: AllPairs, step: float = 1e-4) -> Tensor:
    """Fourth-order central differences, all displacements in one batch."""
    n = graph.numbers.shape[1]
    moves = torch.eye(3 * n, dtype=torch.float64).reshape(3 * n, n, 3) * step
    numbers = graph.numbers[:1].expand(3 * n, -1)
    at = [
        energy(model, AllPairs(numbers, graph.positions[:1] + k * moves))
        for k in (-2, -1, 1, 2)
    ]
    slope = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)
    return -slope.reshape(n, 3)


SHAPES = {
    "random": [[0, 0, 0], [1.2, 0.1, 0], [-0.4, 1.0, 0.3], [0.1, -0.9, 0.8]],
    "near the cutoff": [[0, 0, 0], [4.999, 0, 0], [0, 5.001, 0], [0, 0, 4.9]],
    "0.05 Å apart": [[0, 0, 0], [0.05, 0, 0], [1.1, 0, 0.2], [0.3, 1.4, 0]],
    "fragments": [[0, 0, 0], [1.1, 0, 0], [12.0, 0, 0], [12.0, 1.1, 0.3]],
    "fading pairs": [[0, 0, 0], [1.1, 0, 0], [17.0, 0, 0], [19.5, 1.1, 0.3]],
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_forces_are_the_gradient(shape: list[list[float]]) -> None:
    torch.manual_seed(0)
    model = PhysML(SMALL).double()
    positions = torch.tensor([shape], dtype=torch.float64)
    graph = AllPairs(torch.tensor([[6, 8, 1, 7]]), positions)
    _, forces = energy_and_forces(model, graph)
    # The envelope's second derivative jumps at the cutoff and the repulsion at 0.05 Å
    # is huge; the step is chosen so that neither hides an error of 1e-6 eV/Å.
    numerical = central_differences(model, graph)
    scale = max(1.0, float(forces.abs().max()) * 1e-3)
    torch.testing.assert_close(forces[0], numerical, atol=1e-6 * scale, rtol=0)


def test_forces_of_every_variant_are_the_gradient(
    model: PhysML, graph: AllPairs
) -> None:
    _, forces = energy_and_forces(model, graph)
    numerical = central_differences(model, graph, step=1e-3)
    scale = max(1.0, float(forces.abs().max()))
    torch.testing.assert_close(forces[0], numerical, atol=1e-6 * scale, rtol=0)


def test_layouts_agree(model: PhysML, graph: AllPairs) -> None:
    ragged = EdgeList.build(
        graph.numbers.flatten(),
        graph.positions.reshape(-1, 3),
        torch.tensor([5, 5]),
        model.config.cutoff,
    )
    dense_energies, dense_forces = energy_and_forces(model, graph)
    energies, forces = energy_and_forces(model, ragged)
    close = {"atol": 1e-9, "rtol": 1e-12}
    torch.testing.assert_close(energies.molecules, dense_energies.molecules, **close)
    torch.testing.assert_close(forces, dense_forces.reshape(-1, 3), **close)


def test_pairs_in_parts_give_the_same_to_second_order(
    graph: AllPairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(SMALL)
    ragged = EdgeList.build(
        graph.numbers.flatten(), graph.positions.reshape(-1, 3), torch.tensor([5, 5]),
        model.config.cutoff, model.config.pair_cutoff,
    )  # fmt: skip
    results = []
    for size in (50_000, 3):
        monkeypatch.setattr("ase_physml.graph.ragged._PAIRS", size)
        energies, forces = energy_and_forces(model, ragged, create_graph=True)
        model.zero_grad()
        forces.square().sum().backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        results.append([energies.molecules, energies.pairs, forces, *gradients])
    for whole, parts in zip(*results, strict=True):
        torch.testing.assert_close(parts, whole, atol=1e-9, rtol=1e-9)


def test_pairs_beyond_their_cutoff_can_be_left_out(graph: AllPairs) -> None:
    model = build(replace(SMALL, pair_cutoff=5.0))
    flat = graph.numbers.flatten(), graph.positions.reshape(-1, 3)
    every = EdgeList.build(*flat, torch.tensor([5, 5]), 5.0)
    near = EdgeList.build(*flat, torch.tensor([5, 5]), 5.0, 5.0)
    assert near.pairs.shape[1] < every.pairs.shape[1]
    torch.testing.assert_close(
        energy(model, near), energy(model, every), atol=1e-12, rtol=0
    )


def test_batch_equals_single(model: PhysML, graph: AllPairs) -> None:
    alone = [
        energy(model, AllPairs(graph.numbers[i : i + 1], graph.positions[i : i + 1]))
        for i in range(2)
    ]
    torch.testing.assert_close(
        torch.cat(alone), energy(model, graph), atol=1e-9, rtol=0
    )


def test_energy_and_forces_are_continuous_across_the_cutoff() -> None:
    model = build(SMALL)
    distance = model.config.cutoff + torch.tensor([-1e-5, 1e-5], dtype=torch.float64)
    positions = torch.zeros(2, 3, 3, dtype=torch.float64)
    positions[:, 1, 0] = 1.1
    positions[:, 2, 1] = distance
    graph = AllPairs(torch.tensor([[6, 1, 8]]).expand(2, -1), positions)
    energies, forces = energy_and_forces(model, graph)
    steepest = forces.abs().max()
    assert (energies.molecules[1] - energies.molecules[0]).abs() < 3e-5 * steepest
    assert (forces[1] - forces[0]).abs().max() < 1e-3 * steepest


@pytest.mark.parametrize("distance", [1e-6, 1e-3, 0.05, 0.3, 1.0, 4.9999, 5.0, 50.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_distance_gives_nan(distance: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = PhysML(SMALL).to(dtype)
    positions = torch.tensor([[[0.0, 0, 0], [distance, 0, 0]]], dtype=dtype)
    graph = AllPairs(torch.tensor([[8, 1]]), positions)
    energies, forces = energy_and_forces(model, graph, create_graph=True)
    forces.square().sum().backward()
    assert energies.molecules.isfinite().all()
    assert forces.isfinite().all()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients and all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("cls", ["none", "one-way", "two-way"])
def test_distant_molecules_add_up_unless_cls_is_two_way(cls: str) -> None:
    config = PhysMLConfig.from_dict({**SMALL.to_dict(), "cls": cls})
    model = build(config)
    water = torch.tensor([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]).double()
    numbers = torch.tensor([[8, 1, 1]])
    both = torch.cat([water, water + torch.tensor([50.0, 0, 0]).double()])
    together = energy(model, AllPairs(numbers.repeat(1, 2), both[None]))
    alone = energy(model, AllPairs(numbers, water[None]))
    gap = float((together - 2 * alone).abs())
    assert (gap > 1e-6) if cls == "two-way" else (gap < 1e-9)


def test_one_atom(model: PhysML) -> None:
    graph = AllPairs(torch.tensor([[1]]), torch.zeros(1, 1, 3, dtype=torch.float64))
    energies, forces = energy_and_forces(model, graph)
    assert energies.molecules.isfinite().all()
    assert torch.equal(forces, torch.zeros_like(forces))


def test_a_mask_starts_open_and_matters_once_trained(graph: AllPairs) -> None:
    config = replace(SMALL, a_mask=True)
    torch.manual_seed(0)
    model = PhysML(config).double()
    bonded = (torch.rand(2, 5, 5) > 0.5).double()
    masked = replace(graph, bonded=bonded)
    torch.testing.assert_close(energy(model, masked), energy(model, graph))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("gate.weight"):
                parameter.fill_(1.0)
    assert (energy(model, masked) - energy(model, graph)).abs().max() > 1e-6


def test_mam_sees_nothing_of_a_masked_atom(graph: AllPairs) -> None:
    model = build(SMALL)
    hidden = graph.numbers.clone()
    hidden[:, 2] = 0
    logits = model.mask_logits(graph.replace(numbers=hidden))
    assert logits.shape == (2, 5, 14)
    # The only way in is the number, and [MASK] is the same whatever it hides; what is
    # checked is that the visible neighbours still matter.
    other = hidden.clone()
    other[:, 0] = 8
    changed = model.mask_logits(graph.replace(numbers=other))
    assert (logits[:, 2] - changed[:, 2]).abs().max() > 1e-6


def test_atom_energies_sum_to_the_molecule(graph: AllPairs) -> None:
    energies = build(SMALL)(graph)
    torch.testing.assert_close(energies.atoms.sum(1), energies.molecules)


def test_reference_energy_is_float64_even_in_a_float32_model() -> None:
    model = PhysML(SMALL)
    model.self_energies[1] = -1036.1234567890123
    total = model.reference_energy(torch.tensor([6, 6]))
    assert total.dtype == torch.float64
    assert total.sum().item() == 2 * -1036.1234567890123


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elements": ()}, "at least one element"),
        ({"elements": (1, 200)}, "atomic numbers"),
        ({"heads": 5}, "does not divide"),
        ({"cls": "sideways"}, "cls must be"),
        ({"cls_energy": True}, "needs cls"),
        ({"pair_energy": False, "atom_energy": False}, "at least one energy term"),
    ],
)
def test_unusable_architectures(change: dict[str, object], message: str) -> None:
    with pytest.raises(PotentialError, match=message):
        PhysMLConfig(**{**SMALL.to_dict(), **change})


def test_config_round_trip() -> None:
    assert PhysMLConfig.from_dict(SMALL.to_dict()) == SMALL
    with pytest.raises(PotentialError, match="depths"):
        PhysMLConfig.from_dict({**SMALL.to_dict(), "depths": 3})
