"""Whole runs on tiny sets: learning, resuming, being killed, and refusing."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ase_physml.data.ragged import Metadata, RaggedSet
from ase_physml.data.writer import write
from ase_physml.errors import RecipeError
from ase_physml.graph import AllPairs
from ase_physml.potentials.checkpoint import load_potential
from ase_physml.training.curves import read_metrics
from ase_physml.training.loop import Run
from ase_physml.training.recipe import Recipe, load_recipe
from ase_physml.training.run import fit

RECIPE = """
name: tiny
sources:
  - {{path: {sets}/labelled.h5, split: {sets}/split.json}}
  - {{path: {sets}/equilibrium.h5}}
  - {{path: {sets}/forces.h5}}
model: {{width: 16, depth: 1, heads: 2, n_basis: 8}}
stages:
  - {{steps: 16, warmup: 2, losses: {{energy: 1.0}}}}
  - steps: 16
    warmup: 2
    losses: {{energy: 1.0, forces: 0.1, zero_force: 0.1, bound: 0.1, mask: 0.01,
              denoise: 0.1}}
noise: {{sigma: 0.3, power: 1.0, thermal_share: 0.5}}
batch_size: 8
steps_per_epoch: 8
mask_every: 2
"""


@pytest.fixture
def recipe_file(sets: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE.format(sets=sets))
    return path


def run(recipe_file: Path, out: Path, *overrides: str, **options: object) -> Path:
    recipe: Recipe = load_recipe(recipe_file, overrides)
    return fit(recipe, recipe_file, Run(out, progress=False, **options))


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_potential(path)[0].state_dict()


def assert_same_weights(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=1e-6, rtol=1e-5)


def test_all_losses_are_logged_and_the_result_is_a_potential(
    recipe_file: Path, tmp_path: Path
) -> None:
    potential = run(recipe_file, tmp_path / "out")
    model, card = load_potential(potential)
    assert card.elements == (1, 6, 7, 8)
    assert card.level_of_theory == "EMT"
    assert card.domain == "off-equilibrium"
    assert set(card.split_hashes) == {"labelled.h5"}
    assert card.training["steps"] == 32
    series = read_metrics(tmp_path / "out" / "csv")
    for name in ("energy", "forces", "zero_force", "bound", "mask", "denoise"):
        assert len(series[f"train/{name}"]) >= 1
        assert np.isfinite([value for _, value in series[f"train/{name}"]]).all()
    assert (tmp_path / "out" / "curves.png").stat().st_size > 10_000
    energy = model(AllPairs(torch.tensor([[8, 1, 1]]), torch.rand(1, 3, 3)))
    assert energy.molecules.isfinite().all()


def test_training_lowers_the_error(recipe_file: Path, tmp_path: Path) -> None:
    longer = ("stages.0.steps=160", "stages.0.learning_rate=5e-3")
    run(recipe_file, tmp_path / "out", *longer)
    losses = dict(read_metrics(tmp_path / "out" / "csv")["train/energy"])
    assert losses[159] < 0.2 * losses[7]


def test_resumed_run_ends_where_the_whole_one_does(
    recipe_file: Path, tmp_path: Path
) -> None:
    whole = run(recipe_file, tmp_path / "whole")
    # The first part stops in the second stage, at the end of its epoch.
    half = tmp_path / "half"
    _stopped_after(recipe_file, half, epochs=3)
    checkpoint = half / "checkpoints" / "last.ckpt"
    resumed = run(recipe_file, half, resume=checkpoint)
    assert_same_weights(whole, resumed)
    steps = [step for step, _ in read_metrics(half / "csv")["train/total"]]
    assert steps == [7, 15, 23, 31]


def _stopped_after(recipe_file: Path, out: Path, epochs: int) -> None:
    import lightning.pytorch as pl

    class Stop(pl.Callback):
        def on_train_epoch_end(
            self, trainer: pl.Trainer, pl_module: pl.LightningModule
        ) -> None:
            trainer.should_stop = trainer.current_epoch + 1 >= epochs

    recipe = load_recipe(recipe_file)
    fit(recipe, recipe_file, Run(out, progress=False, callbacks=[Stop()]))


def test_killed_run_ends_where_the_whole_one_does(
    recipe_file: Path, tmp_path: Path
) -> None:
    longer = "stages.1.steps=80"
    whole = run(recipe_file, tmp_path / "whole", longer)
    out = tmp_path / "killed"
    command = [
        sys.executable, "-m", "ase_physml.cli", "train", str(recipe_file), longer,
        "--out", str(out),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    checkpoint = out / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 300
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    resumed = run(recipe_file, out, longer, resume=checkpoint)
    _, card = load_potential(tmp_path / "killed" / "tiny.pt")
    assert card.training["steps"] == 96
    assert_same_weights(whole, resumed)


def test_fine_tuning_starts_from_a_potential(recipe_file: Path, tmp_path: Path) -> None:
    first = run(recipe_file, tmp_path / "first")
    tuned = run(
        recipe_file, tmp_path / "tuned", f"start_from={first}",
        "stages.0.steps=1", "stages.1.steps=1", "stages.1.learning_rate=1e-9",
        "stages.0.learning_rate=1e-9", "steps_per_epoch=1",
    )  # fmt: skip
    for a, b in zip(weights(first).values(), weights(tuned).values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


def test_without_validation_the_averaged_weights_are_saved_too(
    recipe_file: Path, tmp_path: Path
) -> None:
    path = run(recipe_file, tmp_path / "out", "sources.0.split=null")
    last = tmp_path / "out" / "checkpoints" / "last.ckpt"
    saved = torch.load(last, weights_only=False)
    found = weights(path)
    for name, value in saved["state_dict"].items():
        assert torch.equal(found[name.removeprefix("model.")], value), name
    running = saved["current_model_state"]
    assert any(not torch.equal(saved["state_dict"][k], running[k]) for k in running)


def test_fine_tuning_needs_the_elements(
    recipe_file: Path, tmp_path: Path, sets: Path
) -> None:
    from ase_physml.models.physml.config import PhysMLConfig
    from ase_physml.models.physml.model import PhysML
    from ase_physml.potentials.card import PotentialCard
    from ase_physml.potentials.checkpoint import save_potential

    config = PhysMLConfig(elements=(1, 6), width=16, depth=1, heads=2, n_basis=8)
    card = PotentialCard.for_model(
        config, name="ch", level_of_theory="EMT", domain="equilibrium"
    )
    save_potential(tmp_path / "ch.pt", PhysML(config), card)
    with pytest.raises(RecipeError, match=r"does not know the elements \[7, 8\]"):
        run(recipe_file, tmp_path / "out", f"start_from={tmp_path / 'ch.pt'}")


def test_sets_of_two_methods_are_not_mixed(
    recipe_file: Path, tmp_path: Path, sets: Path
) -> None:
    frames = list(RaggedSet(sets / "labelled.h5"))
    write(tmp_path / "other.h5", frames, Metadata("PBE", equilibrium=True))
    with pytest.raises(RecipeError, match=r"differ in level of theory \(.*EMT; .*PBE"):
        run(recipe_file, tmp_path / "out", f"sources.1.path={tmp_path / 'other.h5'}")


def test_missing_checkpoint(recipe_file: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such checkpoint"):
        run(recipe_file, tmp_path / "out", resume=tmp_path / "none.ckpt")


def test_traced_graph_has_the_gradients_of_the_plain_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ase_physml.models.physml.config import PhysMLConfig
    from ase_physml.models.physml.model import PhysML
    from ase_physml.training.compiled import CompiledEvaluator, Evaluator

    # What is compiled, without waiting for the compiler.
    monkeypatch.setattr(torch, "compile", lambda function, **_options: function)
    torch.manual_seed(0)
    model = PhysML(PhysMLConfig(width=16, depth=2, heads=2, n_basis=8)).double()
    numbers = torch.tensor([1, 6, 7, 8])[torch.randint(0, 4, (8, 5))]
    positions = 2.0 * torch.randn(8, 5, 3, dtype=torch.float64)
    gradients = []
    for evaluator in (Evaluator(model), CompiledEvaluator(model)):
        model.zero_grad()
        _, forces = evaluator.energies_and_forces(AllPairs(numbers, positions))
        forces.square().mean().backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-9)


@pytest.mark.slow
def test_compiled_evaluator_equals_the_plain_one() -> None:
    from ase_physml.models.physml.config import PhysMLConfig
    from ase_physml.models.physml.model import PhysML
    from ase_physml.training.compiled import CompiledEvaluator, Evaluator

    torch.manual_seed(0)
    # In float64: repulsion makes forces here so large that single precision would
    # leave nothing to compare.
    model = PhysML(PhysMLConfig(width=16, depth=2, heads=2, n_basis=8)).double()
    plain, compiled = Evaluator(model), CompiledEvaluator(model)
    elements = torch.tensor([1, 6, 7, 8])
    # Sizes that equal each other, the width, or 1 are where symbols get confused.
    for shape in ((8, 5), (16, 16), (5, 5), (1, 7), (4, 2), (3, 1)):
        numbers = elements[torch.randint(0, 4, shape)]
        positions = 2.0 * torch.randn(*shape, 3, dtype=torch.float64)
        gradients = []
        for evaluator in (plain, compiled):
            model.zero_grad()
            graph = AllPairs(numbers, positions)
            energies, forces = evaluator.energies_and_forces(graph)
            (energies.square().mean() + forces.square().mean()).backward()
            found = [p.grad for p in model.parameters() if p.grad is not None]
            gradients.append([energies.detach(), forces.detach(), *found])
        for a, b in zip(*gradients, strict=True):
            # Of the largest: an element that cancels to nearly nothing has no digits.
            worst = (a - b).abs().max() / (a.abs().max() + 1e-12)
            assert worst < 1e-7, (shape, worst)
