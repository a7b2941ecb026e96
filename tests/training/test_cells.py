"""Training on cells: slabs with molecules on them, their lower layer held."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import add_adsorbate, fcc111, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from ase_physml import PhysMLCalculator
from ase_physml.data.conversion import from_atoms, to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.graph import PeriodicEdgeList
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.store.checkpoint import load_potential
from ase_physml.training.batches import BatchStream, FrameStore
from ase_physml.training.compiled import CompiledEvaluator, Evaluator
from ase_physml.training.displacement import Noise
from ase_physml.training.fit import Run, fit, load_recipe
from ase_physml.training.losses import frames as losses
from ase_physml.training.physml_module import FrameContext
from ase_physml.training.physml_recipe import FrameLosses, PhysMLRecipe, Source
from ase_physml.training.valence import ValenceField, hold

CONFIG = PhysMLConfig(
    elements=(1, 6, 8, 29), cutoff=4.0, pair_cutoff=6.0,
    width=16, depth=1, heads=2, n_basis=8,
)  # fmt: skip

RECIPE = """
name: slabs
sources: [{{path: {path}}}]
model: {{width: 16, depth: 1, heads: 2, n_basis: 8, cutoff: 4.0, pair_cutoff: 6.0}}
stages:
  - steps: 4
    losses: {{energy: 1.0, zero_force: 1.0, bound: 0.1, denoise: 0.1, mask: 0.01}}
noise: {{sigma: 0.2, thermal_share: 0.5, relaxed: 1, pulled_share: 0.5}}
batch_size: 3
steps_per_epoch: 2
"""


def slab(seed: int, adsorbate: str = "CO") -> Frame:
    atoms = fcc111("Cu", (3, 3, 2), vacuum=6.0, periodic=True)
    lower = atoms.get_tags() == 2
    # Carbon and oxygen are nearest to the metal.
    add_adsorbate(atoms, molecule(adsorbate), 1.9, "ontop", mol_index=-1)
    atoms.set_constraint(FixAtoms(np.flatnonzero(lower)))
    atoms.rattle(0.02, seed=seed)
    atoms.calc = EMT()
    atoms.get_potential_energy()
    return from_atoms(atoms)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chunks, called minima, and a molecule without a cell."""
    frames = [slab(k) for k in range(6)] + [slab(k, "H2O") for k in range(3)]
    gas = molecule("CH3OH")
    gas.calc = EMT()
    gas.get_potential_energy()
    path = tmp_path_factory.mktemp("cells") / "slabs.h5"
    write(path, [*frames, from_atoms(gas)], Metadata("EMT", equilibrium=True))
    return path


@pytest.fixture
def stream(path: Path) -> BatchStream:
    data = RaggedSet(path)
    return BatchStream([FrameStore(data, np.arange(len(data)))], 3, seed=0)


@pytest.fixture
def model() -> PhysML:
    torch.manual_seed(0)
    return PhysML(CONFIG)


def test_a_batch_gives_what_the_calculator_gives(
    stream: BatchStream, model: PhysML, path: Path
) -> None:
    calculator = PhysMLCalculator(model, device="cpu")
    frames = {round(f.energy or 0.0, 6): f for f in RaggedSet(path)}
    for step in range(len(stream)):
        batch = stream[step]
        graph = batch.graph(CONFIG)
        assert isinstance(graph, PeriodicEdgeList)
        found = model(graph).molecules + model.reference_energy(batch.numbers).sum(1)
        some = [frames[round(energy, 6)] for energy in batch.energies.tolist()]
        results = calculator.calculate_many([to_atoms(f, labels=False) for f in some])
        expected = [result["energy"] for result in results]
        assert found.tolist() == pytest.approx(expected, abs=1e-3)


def test_memory_and_file_give_the_same(stream: BatchStream, path: Path) -> None:
    from_file = BatchStream([FrameStore(RaggedSet(path), np.arange(10), 0)], 3, seed=0)
    names = ("numbers", "positions", "energies", "cell", "pbc", "fixed")
    for step in range(len(stream)):
        one, other = stream[step], from_file[step]
        for name in names:
            assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_held_atoms_have_no_loss_and_do_not_move(
    stream: BatchStream, model: PhysML
) -> None:
    sources = (Source("none"),)
    recipe = PhysMLRecipe(
        name="test", sources=sources, model=CONFIG, displaced_share=1.0
    )
    batch = next(b for b in map(stream.__getitem__, range(4)) if len(b.numbers) == 3)
    assert batch.fixed is not None
    assert batch.fixed.sum(1).tolist() == [9, 9, 9]
    noise = Noise(thermal_share=0.5, relaxed=1)
    reading = FrameLosses.from_weights(denoise=1.0).each
    moved = FrameContext(batch, recipe, Evaluator(model), reading, noise).displaced
    assert moved is not None
    assert (moved.shift[batch.fixed] == 0.0).all()
    assert (moved.shift[~batch.fixed].norm(dim=-1) > 1e-4).all()
    forces = torch.randn(batch.positions.shape)
    expected = forces[~batch.fixed].square().mean()
    found = losses.zero_force_loss(forces, batch.fixed)
    torch.testing.assert_close(found, expected)


def test_a_potential_of_slabs_is_trained(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "slabs.yaml"
    file.write_text(RECIPE.format(path=path))
    potential = fit(load_recipe(file), file, Run(tmp_path / "out", progress=False))
    _, card = load_potential(potential)
    assert card.training["periodic"] is True
    atoms = to_atoms(slab(0), labels=False)
    atoms.calc = PhysMLCalculator(potential)
    assert np.isfinite(atoms.get_stress()).all()


def check_evaluators(stream: BatchStream, model: PhysML, tolerance: float) -> None:
    """Plain and compiled, on batches of several sizes."""
    model = model.double()
    evaluators = Evaluator(model), CompiledEvaluator(model)
    for step in range(len(stream)):
        batch = stream[step]
        graph = batch.graph(CONFIG)
        graph = graph.replace(positions=graph.positions.double())
        graph = graph.replace(
            cell=graph.cell.double(), edge_shifts=graph.edge_shifts.double(),
            pair_shifts=graph.pair_shifts.double(),
        )  # fmt: skip
        found = []
        for evaluator in evaluators:
            model.zero_grad()
            energies, forces = evaluator.energies_and_forces(graph)
            alone = evaluator.energies(graph)
            (energies.sum() + forces.square().sum() + alone.square().sum()).backward()
            gradients = [p.grad for p in model.parameters() if p.grad is not None]
            found.append([energies.detach(), forces.detach(), alone, *gradients])
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


def test_traced_cells_have_the_gradients_of_plain_ones(
    stream: BatchStream, model: PhysML, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is compiled, without waiting for the compiler.
    monkeypatch.setattr(torch, "compile", lambda function, **_options: function)
    check_evaluators(stream, model, 1e-9)


@pytest.mark.slow
def test_compiled_cells_equal_plain_ones(stream: BatchStream, model: PhysML) -> None:
    check_evaluators(stream, model, 1e-7)


def field_of(frame: Frame, wrap: bool = False) -> tuple[ValenceField, torch.Tensor]:
    atoms = to_atoms(frame)
    if wrap:
        atoms.set_constraint()
        atoms.positions += [0.3, 0.2, 4.1]
        atoms.wrap()
    positions = torch.tensor(atoms.positions)[None]
    numbers = torch.tensor(atoms.numbers)[None].long()
    table = {1: 0.31, 6: 0.76, 8: 0.66, 29: 1.32}
    radii = torch.tensor([[table[z] for z in atoms.numbers]]).double()
    cell, pbc = torch.tensor(atoms.cell.array)[None], torch.tensor(atoms.pbc)[None]
    return ValenceField(positions, numbers, radii, cell, pbc), positions


def test_the_force_field_knows_images() -> None:
    whole, at_rest = field_of(slab(0, "CH3OH"))
    cut, cut_at_rest = field_of(slab(0, "CH3OH"), wrap=True)
    assert not torch.allclose(
        at_rest - at_rest.mean(1), cut_at_rest - cut_at_rest.mean(1)
    )
    shift = 0.1 * torch.randn(at_rest.shape, dtype=torch.float64)
    for one, other in zip(
        whole.energies_and_forces(at_rest + shift),
        cut.energies_and_forces(cut_at_rest + shift),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(whole.hessian(), cut.hessian(), atol=1e-8, rtol=1e-8)
    # Six of methanol, of which none is counted that a face of the cell cuts.
    assert len(whole.bonds) == 5
    assert len(cut.bonds) < 5


def test_slabs_are_at_rest_in_the_force_field_and_resist() -> None:
    field, at_rest = field_of(slab(0))
    energies, forces = field.energies_and_forces(at_rest)
    assert energies.abs().max() < 1e-12
    assert forces.abs().max() < 1e-6
    lowest = torch.linalg.eigvalsh(field.hessian()[0])
    assert lowest[0] > 0.0
    # Copper's highest phonon is at 7.2 THz.
    clean, _ = field_of(from_atoms(fcc111("Cu", (3, 3, 4), vacuum=6.0, periodic=True)))
    highest = torch.linalg.eigvalsh(clean.hessian()[0])[-1].item()
    terahertz = (highest * 9648.5 / 63.5) ** 0.5 / (2 * np.pi)
    assert 5.0 < terahertz < 9.0


def test_a_held_atom_neither_moves_nor_couples() -> None:
    field, _ = field_of(slab(0))
    fixed = torch.zeros(1, 20, dtype=torch.bool)
    fixed[0, 3] = True
    held = hold(field.hessian(), fixed)[0]
    row = held[9].clone()
    assert row[9] > 1e4
    row[9] = 0.0
    assert (row == 0.0).all()
    torch.testing.assert_close(held[12:, 12:], field.hessian()[0, 12:, 12:])
