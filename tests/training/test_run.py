"""Whole runs on tiny sets: learning, resuming, being killed, and refusing."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import RecipeError, WriteError
from ase_physml.graph import AllPairs
from ase_physml.store.checkpoint import load_potential, save_model
from ase_physml.training.callbacks import read_metrics
from ase_physml.training.fit import Run, fit, load_recipe
from ase_physml.training.physml_module import PhysMLTraining
from ase_physml.training.resume import standing_of
from ase_physml.training.stopping import TrainingStopped

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
    recipe = load_recipe(recipe_file, overrides)
    return fit(recipe, recipe_file, Run(out, progress=False, **options))


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_potential(path)[0].state_dict()


def assert_same_weights(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    alike = [torch.isclose(a[k], b[k], atol=1e-6, rtol=1e-5).flatten() for k in a]
    # Adam takes whole steps along gradients that are nothing but rounding, which is
    # other where memory is laid out otherwise: a few weights may go another way.
    assert torch.cat(alike).double().mean() > 0.98


def test_all_losses_are_logged_and_the_result_is_a_potential(
    recipe_file: Path, tmp_path: Path
) -> None:
    potential = run(recipe_file, tmp_path / "out")
    model, card = load_potential(potential)
    assert card.numbers == (1, 6, 7, 8)
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


OPTIMIZERS = ["adamw", "soap"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_lowers_the_error(
    recipe_file: Path, tmp_path: Path, optimizer: str
) -> None:
    longer = ("stages.0.steps=160", "stages.0.learning_rate=5e-3")
    run(recipe_file, tmp_path / "out", *longer, f"optimizer={optimizer}")
    losses = dict(read_metrics(tmp_path / "out" / "csv")["train/energy"])
    assert losses[159] < 0.2 * losses[7]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resumed_run_ends_where_the_whole_one_does(
    recipe_file: Path, tmp_path: Path, optimizer: str
) -> None:
    chosen = f"optimizer={optimizer}"
    whole = run(recipe_file, tmp_path / "whole", chosen)
    # The first part stops in the second stage, at the end of its epoch.
    half = tmp_path / "half"
    _stopped_after(recipe_file, half, 3, chosen)
    checkpoint = half / "checkpoints" / "last.ckpt"
    resumed = run(recipe_file, half, chosen, resume=checkpoint)
    assert_same_weights(whole, resumed)
    steps = [step for step, _ in read_metrics(half / "csv")["train/total"]]
    assert steps == [7, 15, 23, 31]


def _stopped_after(recipe_file: Path, out: Path, epochs: int, *overrides: str) -> None:
    import lightning.pytorch as pl

    class Stop(pl.Callback):
        def on_train_epoch_end(
            self, trainer: pl.Trainer, pl_module: pl.LightningModule
        ) -> None:
            trainer.should_stop = trainer.current_epoch + 1 >= epochs

    recipe = load_recipe(recipe_file, overrides)
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
    model, card = load_potential(first)
    seen = {**card.shortest, "N-O": 0.5}
    save_model(first, model, replace(card, shortest=seen))
    tuned = run(
        recipe_file, tmp_path / "tuned", f"start_from={first}",
        "stages.0.steps=1", "stages.1.steps=1", "stages.1.learning_rate=1e-9",
        "stages.0.learning_rate=1e-9", "steps_per_epoch=1",
    )  # fmt: skip
    for a, b in zip(weights(first).values(), weights(tuned).values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)
    # It has seen what its start has.
    assert load_potential(tuned)[1].shortest == seen


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
    from ase_physml.store.card import ModelCard
    from ase_physml.store.checkpoint import save_model

    config = PhysMLConfig(elements=(1, 6), width=16, depth=1, heads=2, n_basis=8)
    card = ModelCard.for_model(
        config, name="ch", level_of_theory="EMT", domain="equilibrium"
    )
    save_model(tmp_path / "ch.pt", PhysML(config), card)
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


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_an_epoch_ends_in_a_checkpoint_that_is_gone_on_from(
    recipe_file: Path, tmp_path: Path, signum: signal.Signals
) -> None:
    import lightning.pytorch as pl

    class Send(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *_others: object) -> None:
            # In the middle of the second epoch, in the first stage.
            if trainer.global_step == 10:
                signal.raise_signal(signum)

    whole = run(recipe_file, tmp_path / "whole")
    before = signal.getsignal(signum)
    with pytest.raises(TrainingStopped) as stopped:
        run(recipe_file, tmp_path / "half", callbacks=[Send()])
    assert (stopped.value.signal, stopped.value.steps) == (signum, 11)
    assert signal.getsignal(signum) is before
    last = tmp_path / "half" / "checkpoints" / "last.ckpt"
    resumed = run(recipe_file, tmp_path / "half", resume=last)
    assert_same_weights(whole, resumed)


def test_a_finished_run_is_left_as_it_is(recipe_file: Path, tmp_path: Path) -> None:
    path = run(recipe_file, tmp_path / "out")
    last = tmp_path / "out" / "checkpoints" / "last.ckpt"
    contents = {p: p.read_bytes() for p in (path, last, path.parent / "recipe.yaml")}
    said: list[str] = []
    assert run(recipe_file, tmp_path / "out", resume=last, say=said.append) == path
    assert "has finished, after 32 steps" in said[0]
    assert {p: p.read_bytes() for p in contents} == contents
    path.unlink()
    with pytest.raises(RecipeError, match="is not there any more"):
        run(recipe_file, tmp_path / "out", resume=last)


def test_a_run_that_lost_patience_has_finished(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every validation is worse than the one before.
    monkeypatch.setattr(
        PhysMLTraining, "metrics", lambda self: {"score": float(self.global_step)}
    )
    path = run(recipe_file, tmp_path / "out", "patience=1")
    last = tmp_path / "out" / "checkpoints" / "last.ckpt"
    standing = standing_of(last)
    assert (standing.finished, standing.steps) == (True, 16)
    kept = path.read_bytes()
    run(recipe_file, tmp_path / "out", "patience=1", resume=last)
    assert path.read_bytes() == kept


def test_another_recipe_is_not_gone_on_with(
    recipe_file: Path, tmp_path: Path, sets: Path
) -> None:
    out = tmp_path / "out"
    path = run(recipe_file, out)
    contents = {p: p.read_bytes() for p in (path, out / "recipe.yaml")}
    last = out / "checkpoints" / "last.ckpt"

    def refused(*overrides: str) -> str:
        with pytest.raises(RecipeError) as error:
            run(recipe_file, out, *overrides, resume=last)
        return str(error.value)

    text = refused("seed=7", "stages.0.losses.energy=2", "level_of_theory=CCSD")
    assert "seed was 0, is 7" in text
    assert "stages.0.losses.energy was 1, is 2" in text
    assert "level_of_theory was null, is CCSD" in text
    assert "stages.0.steps was 16, is 24" in refused("stages.0.steps=24")
    # The same content elsewhere is the same; another content in the same place not.
    copy = tmp_path / "copy.h5"
    copy.write_bytes((sets / "forces.h5").read_bytes())
    elsewhere = f"sources.2.path={copy}"
    assert run(recipe_file, out, elsewhere, resume=last) == path
    frames = list(RaggedSet(copy))[:16]
    write(tmp_path / "fewer.h5", frames, Metadata("EMT", equilibrium=False))
    (tmp_path / "fewer.h5").replace(copy)
    assert "sources.2.path has another content" in refused(elsewhere)
    assert "stages.1.steps was 16, is 8" in refused("stages.1.steps=8")
    assert {p: p.read_bytes() for p in contents} == contents


def test_more_steps_are_no_other_recipe(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "out")
    last = tmp_path / "out" / "checkpoints" / "last.ckpt"
    path = run(recipe_file, tmp_path / "out", "stages.1.steps=24", resume=last)
    assert load_potential(path)[1].training["steps"] == 40
    recipe = (tmp_path / "out" / "recipe.yaml").read_text()
    assert "steps: 24" in recipe


def test_recipe_is_written_when_all_is_done(recipe_file: Path, tmp_path: Path) -> None:
    _stopped_after(recipe_file, tmp_path / "half", epochs=1)
    assert (tmp_path / "half" / "recipe.yaml").exists()
    import lightning.pytorch as pl

    class Fail(pl.Callback):
        def on_train_epoch_end(self, *_all: object) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(WriteError, match="No space left on device"):
        run(recipe_file, tmp_path / "full", callbacks=[Fail()])
    assert not (tmp_path / "full" / "recipe.yaml").exists()


def test_a_full_disk_keeps_the_last_checkpoint(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    _stopped_after(recipe_file, out, epochs=1)
    last = out / "checkpoints" / "last.ckpt"
    kept = last.read_bytes()
    sync = os.fsync

    def full(number: int) -> None:
        if Path(f"/proc/self/fd/{number}").resolve().name == "last.ckpt.part":
            raise OSError(28, "No space left on device")
        sync(number)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"No space left.*--resume last"):
        run(recipe_file, out, resume=last)
    assert last.read_bytes() == kept
    assert [p.name for p in last.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("damage", ["truncated", "foreign", "malicious", "nan"])
def test_unusable_checkpoints(recipe_file: Path, tmp_path: Path, damage: str) -> None:
    _stopped_after(recipe_file, tmp_path / "out", epochs=1)
    last = tmp_path / "out" / "checkpoints" / "last.ckpt"
    if damage == "truncated":
        last.write_bytes(last.read_bytes()[:5000])
    elif damage == "foreign":
        torch.save({"state_dict": {}, "epoch": 3}, last)
    elif damage == "malicious":
        torch.save({"state_dict": _Touch(tmp_path / "proof")}, last)
    else:
        content = torch.load(last, weights_only=True)
        content["state_dict"]["model.element_bias"][0] = float("nan")
        torch.save(content, last)
    with pytest.raises(RecipeError, match="start afresh") as error:
        run(recipe_file, tmp_path / "out", resume=last)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "proof").exists()


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def test_one_line_a_validation(recipe_file: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    run(recipe_file, tmp_path / "out", say=lines.append)
    assert [line.split("  ")[0] for line in lines] == [
        f"step {step} of 32" for step in (8, 16, 24, 32)
    ]
    for line in lines:
        assert "losses: energy " in line and "mae_energy" in line and "left" in line


def test_whatever_torch_is_set_to(recipe_file: Path, tmp_path: Path) -> None:
    plain = run(recipe_file, tmp_path / "plain")
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            other = run(recipe_file, tmp_path / "other")
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same_weights(plain, other)


def test_differences_are_of_one_process(recipe_file: Path, tmp_path: Path) -> None:
    compared = [
        "sources.0.compare=composition",
        "stages.0.losses={energy: 1.0, difference: 1.0}",
    ]
    with pytest.raises(RecipeError, match="--devices 1"):
        run(recipe_file, tmp_path / "out", *compared, devices=2)
    path = run(recipe_file, tmp_path / "out", *compared)
    logged = read_metrics(tmp_path / "out" / "csv")
    assert "train/difference" in logged and "val/mae_difference" in logged
    assert path.is_file()
