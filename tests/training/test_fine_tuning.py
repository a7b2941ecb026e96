"""Fine-tuning as the README shows it: to another level of theory, of one molecule."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import molecule

from ase_physml.data.frame import Frame
from ase_physml.data.index_split import make_split
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import DataError, RecipeError
from ase_physml.graph import AllPairs
from ase_physml.models.physml.model import PhysML
from ase_physml.store.checkpoint import load_potential, save_model
from ase_physml.training.callbacks import compare
from ase_physml.training.fit import Run, fit, load_recipe
from ase_physml.training.physml_data import PhysMLData
from ase_physml.training.physml_training import build_model
from ase_physml.training.reference import refit_self_energies, self_energies_of

# Of another level: eV an atom of H, C and O, and of every molecule.
SHIFT, CONSTANT = {1: -3.5, 6: -400.25, 8: -1001.5}, 2.25
OLD = {1: -13.6, 6: -1029.0, 7: -1485.0, 8: -2042.0}

RECIPE = """
name: tuned
sources: [{{path: {folder}/{name}.h5, split: {folder}/{name}.json}}]
start_from: {folder}/start.pt
stages:
  - {{steps: 8, warmup: 2, learning_rate: 1e-4, losses: {{energy: 1.0, forces: 0.1}}}}
batch_size: 8
steps_per_epoch: 4
ema: 0.5
"""


def energies(
    model: PhysML, numbers: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    with torch.no_grad():
        inner = model(AllPairs(numbers, positions.float())).molecules.double()
    return inner + model.reference_energy(numbers).sum(1)


def frames_of(model: PhysML, name: str, count: int) -> list[Frame]:
    """Rattled copies of a molecule, labelled with the potential and a shift."""
    atoms = molecule(name)
    random = np.random.default_rng(1)
    numbers = torch.as_tensor(atoms.numbers).repeat(count, 1)
    noise = 0.03 * random.normal(size=(count, len(atoms), 3))
    positions = torch.as_tensor(atoms.positions + noise)
    shift = CONSTANT + sum(SHIFT.get(z, 0.0) for z in atoms.numbers.tolist())
    found = energies(model, numbers, positions) + shift
    graph = AllPairs(numbers, positions.float().requires_grad_())
    (slope,) = torch.autograd.grad(model(graph).molecules.sum(), graph.positions)
    return [
        Frame(atoms.numbers, x.numpy(), energy=float(e), forces=-f.double().numpy())
        for x, e, f in zip(positions, found, slope, strict=True)
    ]


@pytest.fixture
def folder(tiny_potential: Path, tmp_path: Path) -> Path:
    """start.pt, and sets with splits: of ethanol alone, and of three molecules."""
    model, card = load_potential(tiny_potential)
    model.self_energies[:-1] = torch.tensor([OLD[z] for z in card.numbers])
    card = replace(card, level_of_theory="B3LYP")
    save_model(tmp_path / "start.pt", model, card)
    level = Metadata("wB97X", equilibrium=False)
    sets = {"one": ["CH3CH2OH"], "three": ["CH3CH2OH", "CH4", "H2O"]}
    for name, molecules in sets.items():
        frames = [f for m in molecules for f in frames_of(model, m, 24)]
        write(tmp_path / f"{name}.h5", frames, level)
        make_split(len(frames), (0.25, 0.25), seed=0).save(tmp_path / f"{name}.json")
    return tmp_path


def tuned(
    folder: Path, name: str, *overrides: str, said: list[str] | None = None
) -> PhysML:
    path = folder / "tuned.yaml"
    path.write_text(RECIPE.format(folder=folder, name=name))
    recipe = load_recipe(path, overrides)
    say = (said if said is not None else []).append
    return load_potential(
        fit(recipe, path, Run(folder / "out", progress=False, say=say))
    )[0]


def data_of(folder: Path, name: str) -> PhysMLData:
    path = folder / "tuned.yaml"
    path.write_text(RECIPE.format(folder=folder, name=name))
    return PhysMLData(load_recipe(path), path)


def test_one_molecule_at_another_level(folder: Path) -> None:
    said: list[str] = []
    model = tuned(folder, "one", "refit_self_energies=true", said=said)
    start, _ = load_potential(folder / "start.pt")
    held_out = frames_of(start, "CH3CH2OH", 24)
    numbers = torch.as_tensor(np.stack([f.numbers for f in held_out]))
    positions = torch.as_tensor(np.stack([f.positions for f in held_out]))
    labels = torch.tensor([f.energy for f in held_out], dtype=torch.float64)
    assert (energies(model, numbers, positions) - labels).abs().mean() < 0.05
    # What the data do not have stays as it was, and the rest is near it.
    assert model.reference_energy(torch.tensor(7)) == OLD[7]
    change = (model.self_energies - start.self_energies).abs().max()
    assert 1.0 < change < 1500.0
    text = "\n".join(said)
    assert "settle 1 of the E0 of their 3 elements" in text
    assert "validation errors, start -> now: mae_energy" in text


def test_correction_is_exact_where_the_data_settle_it(folder: Path) -> None:
    start, _ = load_potential(folder / "start.pt")
    model, _ = load_potential(folder / "start.pt")
    assert refit_self_energies(model, data_of(folder, "three").stores) == ""
    numbers = torch.as_tensor(molecule("CH4").numbers)
    shift = model.reference_energy(numbers) - start.reference_energy(numbers)
    assert shift.sum().item() == pytest.approx(
        CONSTANT + SHIFT[6] + 4 * SHIFT[1], abs=1e-3
    )


def test_fresh_model_of_one_molecule_has_small_self_energies(folder: Path) -> None:
    fitted, left = self_energies_of(data_of(folder, "one").stores, (1, 6, 7, 8))
    assert np.abs(fitted).max() < 1e4
    assert fitted[2] == 0.0
    assert left < 1.0


def test_energies_that_no_correction_explains_are_refused(folder: Path) -> None:
    model, _ = load_potential(folder / "start.pt")
    frames = frames_of(model, "CH3CH2OH", 24)
    random = np.random.default_rng(0)
    wild = [replace(f, energy=float(1000 * random.normal())) for f in frames]
    (folder / "one.h5").unlink()
    write(folder / "one.h5", wild, Metadata("?", equilibrium=False))
    with pytest.raises(DataError, match="not total energies in eV"):
        refit_self_energies(model, data_of(folder, "one").stores)


def test_what_got_worse_is_said(folder: Path) -> None:
    said: list[str] = []
    tuned(
        folder, "one", "refit_self_energies=true", "stages.0.learning_rate=0.5",
        said=said,
    )  # fmt: skip
    assert any(line.startswith("WORSE THAN THE START: mae_energy") for line in said)


def test_comparison_knows_which_way_is_better() -> None:
    before = {"mae_energy": 0.2, "roc_auc": 0.8, "score": 1.0}
    assert len(compare(before, {"mae_energy": 0.1, "roc_auc": 0.9}, {})) == 1
    _, worse = compare(before, {"mae_energy": 0.1, "roc_auc": 0.7}, {})
    assert "roc_auc" in worse and "mae_energy" not in worse
    _, worse = compare(before, {"mae_energy": float("nan")}, {})
    assert "mae_energy" in worse
    assert compare({}, {"mae_energy": 0.1}, {}) == []


def test_another_level_without_a_refit_is_said(folder: Path) -> None:
    said: list[str] = []
    data = data_of(folder, "one")
    build_model(data.recipe, data, folder / "tuned.yaml", said.append)
    assert "add refit_self_energies=true" in said[0]


def test_nothing_to_refit(folder: Path) -> None:
    with pytest.raises(RecipeError, match="without start_from"):
        tuned(folder, "one", "start_from=null", "refit_self_energies=true")
