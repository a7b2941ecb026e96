"""From a recipe to a potential: the Lightning loop around `PhysMLTraining`."""

import datetime as dt
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from ase_physml.errors import RecipeError
from ase_physml.models.physml.model import PhysML
from ase_physml.potentials.card import PotentialCard
from ase_physml.potentials.checkpoint import load_potential
from ase_physml.potentials.registry import shipped
from ase_physml.training.callbacks import Budget, SavePotential
from ase_physml.training.module import PhysMLTraining
from ase_physml.training.recipe import Recipe, find
from ase_physml.training.reference import elements_of, fit_bias, fit_self_energies
from ase_physml.training.sources import Data


def build_model(recipe: Recipe, data: Data, path: Path) -> PhysML:
    """A fresh model with E0 fitted to the data, or one to fine-tune.

    Raises:
        RecipeError: The potential to start from does not know an element.
    """
    elements = elements_of(data.stores)
    if recipe.start_from is None:
        torch.manual_seed(recipe.seed)
        model = PhysML(replace(recipe.model, elements=elements))
        fit_self_energies(model, data.stores)
        fit_bias(model, data.stream)
        return model
    start = shipped(recipe.start_from) or find(recipe.start_from, path)
    model, _ = load_potential(start, recipe.start_member)
    unknown = set(elements) - set(model.config.elements)
    if unknown:
        raise RecipeError(
            f"{recipe.start_from} does not know the elements {sorted(unknown)} of the "
            "training data"
        )
    if recipe.refit_self_energies:
        model.element_bias.data.zero_()
        fit_self_energies(model, data.stores)
        fit_bias(model, data.stream)
    return model.float().requires_grad_(True).train()


def fit(
    recipe: Recipe,
    path: Path,
    out: Path,
    *,
    resume: Path | None = None,
    max_time: dt.timedelta | None = None,
    devices: int = 1,
    strategy: str = "auto",
    accelerator: str = "auto",
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train, and return the path of the potential.

    Args:
        recipe: What to train.
        path: Where the recipe came from, for paths in it.
        out: Folder of checkpoints, logs, curves and the potential.
        resume: Lightning checkpoint to continue from.
        max_time: Stop with a checkpoint at the end of the epoch after this long.
        devices: Processes.
        strategy: Lightning strategy; "auto" is DDP where there are several processes.
        accelerator: Lightning accelerator.
        progress: Show a bar.
        callbacks: Further Lightning callbacks.

    Raises:
        RecipeError: The recipe and the data do not fit, or the checkpoint is unusable.
        DataError: A data file cannot be used.
    """
    if resume is not None and not resume.is_file():
        raise RecipeError(f"{resume}: no such checkpoint to resume from")
    pl.seed_everything(recipe.seed, verbose=False)
    data = Data(recipe, path)
    model = build_model(recipe, data, path)
    recipe = replace(recipe, model=model.config)
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.yaml").write_text(yaml.safe_dump(_plain(recipe.to_dict())))
    # TF32 on GPUs that have it. bfloat16 is not offered: a pair energy is a difference
    # of large terms, and three digits of its parameters leave none of the force.
    torch.set_float32_matmul_precision("high")
    if devices > 1 and strategy == "auto":
        # Heads take part only in steps with their loss, MAM's for one.
        strategy = "ddp_find_unused_parameters_true"
    trainer = pl.Trainer(
        default_root_dir=out,
        # Not max_steps: with it, Lightning skips an epoch when it resumes between two.
        max_epochs=recipe.total_steps // recipe.steps_per_epoch,
        gradient_clip_val=recipe.clip,
        devices=devices,
        strategy=strategy,
        accelerator=accelerator,
        logger=[
            CSVLogger(out, name="csv"),
            TensorBoardLogger(out, name="", version="tensorboard"),
        ],
        callbacks=[
            *_callbacks(recipe, out, card_of(recipe, data), progress),
            *([] if max_time is None else [Budget(max_time)]),
            *callbacks,
        ],
        log_every_n_steps=recipe.steps_per_epoch,
        enable_progress_bar=progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        inference_mode=False,
    )
    with warnings.catch_warnings():
        # One loader, in memory: worker processes would only cost time.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # Of Lightning's own making: a torch function it calls, a folder it was given.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
        trainer.fit(PhysMLTraining(model, recipe), data, ckpt_path=resume)
    return out / f"{recipe.name}.pt"


def _callbacks(
    recipe: Recipe, out: Path, card: PotentialCard, progress: bool
) -> list[Callback]:
    callbacks: list[Callback] = [
        EMAWeightAveraging(decay=recipe.ema),
        LearningRateMonitor("epoch"),
        SavePotential(out, card),
        ModelCheckpoint(
            out / "checkpoints",
            filename="last",
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        ),
    ]
    if recipe.patience is not None:
        callbacks.append(EarlyStopping("val/score", patience=recipe.patience))
    if progress:
        callbacks.append(RichProgressBar(leave=True))
    return callbacks


def card_of(recipe: Recipe, data: Data) -> PotentialCard:
    """What a potential trained by this recipe says of itself."""
    labelled = [s for s in data.stores if s.data.has("energy")]
    level = recipe.level_of_theory or labelled[0].data.metadata.level_of_theory
    equilibrium = all(s.equilibrium for s in data.stores)
    return PotentialCard.for_model(
        recipe.model,
        name=recipe.name,
        level_of_theory=level,
        domain="equilibrium" if equilibrium else "off-equilibrium",
        split_hashes=data.split_hashes,
        training={"recipe": _plain(recipe.to_dict())},
    )


def _plain(value: Any) -> Any:
    """Tuples to lists, for YAML and JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
