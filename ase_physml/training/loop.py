"""The Lightning loop that every model is trained in."""

import datetime as dt
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
from ase_physml.training.batches import IN_MEMORY
from ase_physml.training.callbacks import Budget, Curves
from ase_physml.training.molecular.recipe import MolecularRecipe
from ase_physml.training.recipe import Recipe


@dataclass(frozen=True)
class Run:
    """Where and how a recipe is run; nothing of this changes its result.

    Attributes:
        out: Folder of checkpoints, logs, curves and the result.
        resume: Lightning checkpoint to continue from.
        max_time: Stop with a checkpoint at the end of the epoch after this long.
        devices: Processes on each node.
        nodes: Machines; whoever starts the processes on them says which is which.
        strategy: Lightning strategy; "auto" is DDP where there are several processes.
        accelerator: Lightning accelerator.
        in_memory: Sets of PhysML's recipes of more atoms than this are read from their
            files, batch by batch.
        progress: Show a bar.
        callbacks: Further Lightning callbacks.
    """

    out: Path
    resume: Path | None = None
    max_time: dt.timedelta | None = None
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    accelerator: str = "auto"
    in_memory: int = IN_MEMORY
    progress: bool = True
    callbacks: Sequence[Callback] = ()

    def check(self) -> None:
        """Raise `RecipeError` if there is no such checkpoint."""
        if self.resume is not None and not self.resume.is_file():
            raise RecipeError(f"{self.resume}: no such checkpoint to resume from")


def train(
    recipe: Recipe | MolecularRecipe,
    run: Run,
    module: pl.LightningModule,
    data: pl.LightningDataModule,
    save: Callback,
) -> None:
    """Train a module by what all recipes have in common.

    Args:
        recipe: Steps, averaging, clipping; stored beside the result.
        run: Where and how.
        module: Model and losses.
        data: Batches, as many in an epoch as the recipe says.
        save: Callback that writes the result.
    """
    # TF32 on GPUs that have it. bfloat16 is not offered: a pair energy is a difference
    # of large terms, and three digits of its parameters leave none of the force.
    torch.set_float32_matmul_precision("high")
    strategy = run.strategy
    if run.devices * run.nodes > 1:
        if strategy == "auto":
            # Heads take part only in steps with their loss, MAM's for one.
            strategy = "ddp_find_unused_parameters_true"
        # Would cut compiled graphs to pieces, which gradients of forces do not bear.
        torch._dynamo.config.optimize_ddp = False
    trainer = pl.Trainer(
        default_root_dir=run.out,
        # Not max_steps: with it, Lightning skips an epoch when it resumes between two.
        max_epochs=recipe.total_steps // recipe.steps_per_epoch,
        gradient_clip_val=recipe.clip,
        devices=run.devices,
        num_nodes=run.nodes,
        strategy=strategy,
        accelerator=run.accelerator,
        logger=[
            CSVLogger(run.out, name="csv"),
            TensorBoardLogger(run.out, name="", version="tensorboard"),
        ],
        callbacks=[*_callbacks(recipe, run, save), *run.callbacks],
        log_every_n_steps=recipe.steps_per_epoch,
        enable_progress_bar=run.progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        inference_mode=False,
    )
    if trainer.is_global_zero:
        run.out.mkdir(parents=True, exist_ok=True)
        (run.out / "recipe.yaml").write_text(yaml.safe_dump(recipe.to_dict()))
    with warnings.catch_warnings():
        # One loader, in memory: worker processes would only cost time.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # What is logged is of all processes already, and the same in each.
        warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
        # Of Lightning's own making: a torch function it calls, a folder it was given.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
        trainer.fit(module, data, ckpt_path=run.resume)


def _callbacks(
    recipe: Recipe | MolecularRecipe, run: Run, save: Callback
) -> list[Callback]:
    callbacks: list[Callback] = [
        save,
        EMAWeightAveraging(decay=recipe.ema),
        LearningRateMonitor("epoch"),
        Curves(run.out),
        ModelCheckpoint(
            run.out / "checkpoints",
            filename="last",
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        ),
    ]
    if recipe.patience is not None:
        callbacks.append(EarlyStopping("val/score", patience=recipe.patience))
    if run.progress:
        callbacks.append(RichProgressBar(leave=True))
    if run.max_time is not None:
        callbacks.append(Budget(run.max_time))
    return callbacks
