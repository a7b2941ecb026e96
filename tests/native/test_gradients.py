"""Gradients by the parameters are those of torch's double backward."""

from typing import Any

import pytest
import torch
from ase.build import molecule
from torch import Tensor

from ase_physml.graph import AtomGraph, EdgeList
from ase_physml.models.energy_model import energy_and_forces
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.native import gradients
from ase_physml.native.curves import curves_of, nodes_of
from ase_physml.native.evaluator import structure_of
from ase_physml.native.gradients import Evaluation, Molecules
from ase_physml.native.weights import weights_of

SMALL = {"elements": (1, 6, 7, 8), "width": 16, "depth": 2, "heads": 2, "n_basis": 8}
SHAPES: dict[str, dict[str, Any]] = {
    "paper": {},
    "physical": {"pair_terms": "physical"},
    "odd width": {"width": 21, "heads": 3, "pair_terms": "physical"},
    "angles": {"angular": 3, "heads": 1},
    "one layer": {"depth": 1, "n_basis": 20},
    "no pair terms": {"pair_energy": False},
    "no atom terms": {"atom_energy": False},
    "short": {"pair_cutoff": 5.0, "alpha": 1.3},
}
NAMES = ("CH3OH", "HCN", "H2O")
Outputs = tuple[Tensor, Tensor, Tensor | None]


def random_model(**changes: Any) -> PhysML:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PhysML(PhysMLConfig(**{**SMALL, **changes})).double()
        with torch.no_grad():
            for name, values in model.named_parameters():
                scale = 0.02 if name.startswith("basis") else 0.1
                values.add_(torch.randn_like(values) * scale)
    return model


def molecules() -> EdgeList:
    random = torch.Generator().manual_seed(0)
    each = [molecule(name) for name in NAMES]
    numbers = torch.cat([torch.tensor(atoms.numbers) for atoms in each])
    positions = torch.cat([torch.tensor(atoms.positions) for atoms in each])
    shift = 0.1 * torch.randn(positions.shape, generator=random, dtype=torch.float64)
    counts = torch.tensor([len(atoms) for atoms in each])
    return EdgeList.build(numbers, positions + shift, counts, 5.0)


def natively(model: PhysML, graph: AtomGraph) -> Outputs:
    assert isinstance(graph, EdgeList)
    dtype, nodes = model.element_bias.dtype, nodes_of(model)
    curves = curves_of(model, torch.arange(4), nodes, dtype)
    starts = torch.cat([torch.zeros(1, dtype=torch.long), graph.counts.cumsum(0)])
    species = model.species_of[graph.numbers]
    given = Molecules(species, starts, graph.positions.double())
    sizes = structure_of(model, nodes)
    found = Evaluation.apply(weights_of(model).to(dtype), curves, sizes, given)
    return found[:3]


def by_torch(model: PhysML, graph: AtomGraph) -> Outputs:
    energies, forces = energy_and_forces(model, graph, create_graph=True)
    return energies.molecules, forces, energies.charges


def loss(outputs: Outputs, of_forces: bool = True) -> Tensor:
    """Quadratic in all, each component with a weight of its own."""
    random = torch.Generator().manual_seed(1)
    total = torch.zeros((), dtype=torch.float64)
    for part in (outputs[0], outputs[1] if of_forces else None, outputs[2]):
        if part is not None:
            weight = torch.rand(part.shape, generator=random, dtype=torch.float64)
            total = total + (weight * (part.double() - weight).square()).sum()
    return total


def gradient(model: PhysML, value: Tensor) -> dict[str, Tensor]:
    named = dict(model.named_parameters())
    found = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    given = zip(named, found, strict=True)
    return {name: one for name, one in given if one is not None}


@pytest.mark.parametrize("of_forces", [True, False], ids=["forces", "energies"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_parameter_of_every_shape(shape: str, of_forces: bool) -> None:
    model, graph = random_model(**SHAPES[shape]), molecules()
    expected_of = by_torch(model, graph)
    found_of = natively(model, graph)
    if expected_of[2] is None:
        found_of = (*found_of[:2], None)
    for one, other in zip(found_of, expected_of, strict=True):
        if other is not None:
            torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-7)
    found = gradient(model, loss(found_of, of_forces))
    expected = gradient(model, loss(expected_of, of_forces))
    for name, other in expected.items():
        error = (found[name] - other).abs().max() / (other.abs().max() + 1e-9)
        assert error < 2e-5, name


def test_single_precision_is_close_to_it() -> None:
    model, graph = random_model(width=32), molecules()
    expected = gradient(model, loss((*natively(model, graph)[:2], None)))
    single = random_model(width=32).float()
    found = gradient(single, loss((*natively(single, graph)[:2], None)))
    for name, other in expected.items():
        assert (found[name] - other).norm() < 2e-3 * other.norm() + 1e-7, name


def test_threads_share_the_molecules(monkeypatch: pytest.MonkeyPatch) -> None:
    model, graph = random_model(pair_terms="physical"), molecules()
    expected = natively(model, graph)
    before = gradient(model, loss(expected))
    monkeypatch.setattr(gradients.torch, "get_num_threads", lambda: 3)  # type: ignore[attr-defined]
    found = natively(model, graph)
    for one, other in zip(found, expected, strict=True):
        assert one is not None
        torch.testing.assert_close(one, other)
    for name, other in gradient(model, loss(found)).items():
        torch.testing.assert_close(other, before[name])


def test_a_molecule_whose_forces_do_not_matter_adds_nothing() -> None:
    model, graph = random_model(), molecules()
    _, forces, _ = natively(model, graph)
    found = gradient(model, forces[:6].square().sum())
    _, forces, _ = by_torch(model, graph)
    expected = gradient(model, forces[:6].square().sum())
    for name, other in expected.items():
        torch.testing.assert_close(found[name], other, atol=1e-4, rtol=1e-4)


def test_curves_by_their_parameters() -> None:
    """Against differences, SiLU's third derivative included."""
    model = random_model(depth=1)
    names = ("basis.centres", "basis.log_widths", "distance_filters.weight")
    nodes = 20
    parameters = dict(model.named_parameters())

    def total() -> Tensor:
        curves = curves_of(model, torch.tensor([1, 2]), nodes)
        return (
            curves * torch.linspace(-1.0, 1.0, curves.numel()).view_as(curves)
        ).sum()

    for name in names:
        values = parameters[name]
        (found,) = torch.autograd.grad(total(), values)
        direction = torch.randn_like(values)
        with torch.no_grad():
            values.add_(1e-5 * direction)
            ahead = total()
            values.sub_(2e-5 * direction)
            slope = (ahead - total()) / 2e-5
            values.add_(1e-5 * direction)
        assert float((found * direction).sum()) == pytest.approx(
            float(slope.detach()), rel=1e-6
        )
