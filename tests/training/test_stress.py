"""Training on the stress of cells."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from ase_physml import PhysMLCalculator
from ase_physml.data.conversion import from_atoms, to_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.index_split import Split, make_split
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import RecipeError
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.training.batches import Batch, FrameStore
from ase_physml.training.callbacks import read_metrics
from ase_physml.training.displacement import Noise
from ase_physml.training.distributed import Mean
from ase_physml.training.fit import Run, fit, load_recipe
from ase_physml.training.losses import frames as losses
from ase_physml.training.physml_module import FrameContext, PhysMLTraining
from ase_physml.training.physml_recipe import FrameLosses, PhysMLRecipe, Source

CONFIG = PhysMLConfig(
    elements=(1, 8, 29), cutoff=3.5, pair_cutoff=3.5,
    width=8, depth=1, heads=2, n_basis=6,
)  # fmt: skip
ONLY = FrameLosses.from_weights(energy=0.0, stress=1.0)
RECIPE = """
name: cells
sources: [{{path: {path}, split: {split}}}]
model: {{width: 8, depth: 1, heads: 2, n_basis: 6, cutoff: 3.5, pair_cutoff: 3.5}}
stages:
  - steps: 40
    losses: {{energy: 0.0, stress: 1000.0}}
    learning_rate: 0.02
    warmup: 2
batch_size: 4
steps_per_epoch: 5
ema: 0.0
"""


def cell(seed: int) -> Frame:
    """Four atoms of copper in a cell that is stretched and sheared."""
    random = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True)
    strain = 0.04 * random.normal(size=(3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.05, seed=seed)
    atoms.calc = EMT()
    atoms.get_stress()
    return from_atoms(atoms)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells, one of them without stress, and a molecule."""
    frames = [cell(k) for k in range(8)]
    frames[3] = replace(frames[3], stress=None)
    gas = molecule("H2O2")
    gas.calc = EMT()
    gas.get_forces()
    path = tmp_path_factory.mktemp("stress") / "cells.h5"
    write(path, [*frames, from_atoms(gas)], Metadata("EMT", equilibrium=False))
    return path


@pytest.fixture
def module() -> PhysMLTraining:
    torch.manual_seed(0)
    sources = (Source("none"),)
    recipe = PhysMLRecipe(
        name="test", sources=sources, model=CONFIG, displaced_share=0.5
    )
    return PhysMLTraining(PhysML(CONFIG), recipe)


def terms_of(
    module: PhysMLTraining,
    batch: Batch,
    losses: FrameLosses = ONLY,
    noise: Noise | None = None,
) -> dict[str, Mean]:
    given = (module.recipe, module.evaluator, losses.each, noise)
    return losses.terms(FrameContext(batch, *given))


def stress_of(module: PhysMLTraining, batch: Batch) -> torch.Tensor:
    return FrameContext(batch, module.recipe, module.plain, ONLY.each).stress


def batch_of(path: Path, in_memory: int = 1000, equilibrium: bool = False) -> Batch:
    """All frames, which have four atoms each."""
    data = RaggedSet(path)
    store = FrameStore(data, np.arange(len(data)), in_memory)
    return replace(store.batch(np.arange(len(data))), equilibrium=equilibrium)


def test_a_batch_has_the_stress_of_its_cells(path: Path) -> None:
    batch, from_file = batch_of(path), batch_of(path, 0)
    assert batch.stress is not None
    assert from_file.stress is not None
    torch.testing.assert_close(batch.stress, from_file.stress, equal_nan=True)
    assert batch.stress.isnan().all((1, 2)).nonzero().flatten().tolist() == [3, 8]
    expected = RaggedSet(path)[5].stress
    np.testing.assert_allclose(batch.stress[5], expected, rtol=1e-6)


def test_stress_is_what_the_calculator_gives(
    path: Path, module: PhysMLTraining
) -> None:
    batch = batch_of(path)
    calculator = PhysMLCalculator(module.model, device="cpu")
    stress = stress_of(module, batch)
    for k in (0, 3):
        atoms = to_atoms(RaggedSet(path)[k], labels=False)
        atoms.calc = calculator
        found = stress[k].detach().numpy()
        np.testing.assert_allclose(found, atoms.get_stress(voigt=False), atol=1e-5)
    # A molecule has no volume, and a gradient that is a number all the same.
    assert (stress[8] == 0.0).all()


def test_the_loss_is_of_known_labels(path: Path, module: PhysMLTraining) -> None:
    batch = batch_of(path)
    assert batch.stress is not None
    ((name, term),) = terms_of(module, batch).items()
    stress = stress_of(module, batch)
    known = [0, 1, 2, 4, 5, 6, 7]
    expected = (stress[known] - batch.stress[known]).square().mean()
    assert (name, int(term.number)) == ("stress", 63)
    torch.testing.assert_close(term.value, expected)
    bare = replace(batch, stress=None)
    assert not terms_of(module, bare)


def test_cells_that_were_moved_have_no_label(
    path: Path, module: PhysMLTraining
) -> None:
    batch = batch_of(path, equilibrium=True)
    assert batch.stress is not None
    weights = FrameLosses.from_weights(energy=0.0, stress=1.0, bound=1.0)
    terms = terms_of(module, batch, weights, Noise(0.2, 0.0))
    stress = stress_of(module, batch)
    # Of nine, five were moved.
    expected = losses.label_loss(stress[5:], batch.stress[5:])
    torch.testing.assert_close(terms["stress"].value, expected)


def test_gradient_agrees_with_finite_differences(
    path: Path, module: PhysMLTraining
) -> None:
    module = module.double()
    batch = batch_of(path)._each(
        lambda part: part.double() if part.is_floating_point() else part
    )
    parameters = list(module.model.parameters())
    random = torch.Generator().manual_seed(0)
    direction = [
        torch.randn(p.shape, generator=random, dtype=p.dtype) for p in parameters
    ]

    def loss() -> torch.Tensor:
        return terms_of(module, batch)["stress"].value

    gradients = torch.autograd.grad(loss(), parameters, allow_unused=True)
    along = sum(
        float((g * d).sum())
        for g, d in zip(gradients, direction, strict=True)
        if g is not None
    )
    step, values = 1e-5, []
    for sign in (1.0, -1.0):
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.add_(d, alpha=sign * step)
        values.append(float(loss().detach()))
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.sub_(d, alpha=sign * step)
    expected = (values[0] - values[1]) / (2 * step)
    assert expected != 0.0
    assert along == pytest.approx(expected, rel=1e-4)


def test_cells_are_trained_on_stress(path: Path, tmp_path: Path) -> None:
    split = tmp_path / "split.json"
    make_split(9, (0.3, 0.0), seed=0).save(split)
    assert len(Split.load(split).val)
    file = tmp_path / "cells.yaml"
    file.write_text(RECIPE.format(path=path, split=split))
    out = tmp_path / "out"
    fit(load_recipe(file), file, Run(out, progress=False, accelerator="cpu"))
    series = read_metrics(out / "csv")
    for name in ("val/mae_stress", "train/stress"):
        errors = [value for _, value in series[name]]
        assert errors[-1] < 0.8 * errors[0], name
    assert "train/forces" not in series


def test_a_loss_without_labels_is_refused(sets: Path, tmp_path: Path) -> None:
    file = tmp_path / "cells.yaml"
    recipe = RECIPE.format(path=sets / "forces.h5", split="null")
    file.write_text(recipe)
    with pytest.raises(RecipeError, match="none of the sets has stress"):
        fit(load_recipe(file), file, Run(tmp_path / "out", progress=False))
