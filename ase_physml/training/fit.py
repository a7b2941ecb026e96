"""Training by a recipe: place and manner of a run, and the Lightning loop."""

import datetime as dt
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

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
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_only

from ase_physml.errors import PhysMLError, RecipeError
from ase_physml.jobs.locking import FolderLock
from ase_physml.store.checkpoint import read_archive, write_archive
from ase_physml.torch_state import plain_torch
from ase_physml.training import molecular_training, physml_training
from ase_physml.training.batches import IN_MEMORY
from ase_physml.training.callbacks import AgainstStart, Curves, Lines, SaveWeights, Say
from ase_physml.training.module import TrainingData, TrainingModule
from ase_physml.training.molecular_recipe import HamNetRecipe, PhysChemRecipe
from ase_physml.training.physml_recipe import PhysMLRecipe
from ase_physml.training.recipe import Recipe, read_recipe
from ase_physml.training.resume import RecipeIdentity, Remember, check, recipe_identity
from ase_physml.training.stopping import (
    Budget,
    StopOnSignal,
    TrainingStopped,
    full_disk,
)
from ase_physml.typed import brief


class _Kind(NamedTuple):
    """Recipes of one kind of model, and what makes module, batches and writer."""

    recipe: type[Recipe]
    prepare: Callable[..., tuple[TrainingModule, TrainingData, SaveWeights]]


_KINDS = {
    "physml": _Kind(PhysMLRecipe, physml_training.prepare),
    "physchem": _Kind(PhysChemRecipe, molecular_training.prepare),
    "hamnet": _Kind(HamNetRecipe, molecular_training.prepare),
}


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``key=value`` overrides (``model.width=64``).

    Its ``kind`` is "physml" unless it says otherwise. Relative paths in it are looked
    up from the working directory first, then from the recipe's own folder.

    Raises:
        RecipeError: The file is missing, is not a mapping, or names an unknown kind or
            key or a value of the wrong type; or what it asks for makes no sense.
    """
    values = read_recipe(path, overrides)
    kind = values.pop("kind", "physml")
    if not isinstance(kind, str) or kind not in _KINDS:
        kinds = ", ".join(_KINDS)
        raise RecipeError(f"{path}: no kind {brief(kind)} of model; there are {kinds}")
    return _KINDS[kind].recipe.from_values(values, path)


def _nothing(line: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Run:
    """Place and manner in which a recipe is run; nothing of this changes its result.

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
        say: Function that is told, in lines for people, how it goes.
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
    say: Say = _nothing
    callbacks: Sequence[Callback] = ()

    @property
    def last(self) -> Path:
        """Checkpoint that is written as it goes."""
        return self.out / "checkpoints" / "last.ckpt"

    def result(self, recipe: Recipe) -> Path:
        """File that holds the result."""
        return self.out / f"{recipe.name}.pt"

    def identity(self, recipe: Recipe, path: Path) -> RecipeIdentity | None:
        """Keys that tell this run from others; None if nothing is left to do.

        Args:
            recipe: Recipe as it was read.
            path: File that it came from.

        Raises:
            RecipeError: A file is missing, or the checkpoint to resume from is missing,
                damaged or of another run.
        """
        identity = recipe_identity(recipe, path)
        if self.resume is None:
            return identity
        standing = check(self.resume, identity, recipe)
        if not standing.finished or standing.total < recipe.total_steps:
            return identity
        result = self.result(recipe)
        if not result.exists():
            raise RecipeError(
                f"{self.resume}: has finished, but {result} is not there any more; "
                "start afresh with another --out"
            )
        self.say(
            f"this run has finished, after {standing.steps} steps: nothing is changed; "
            "to go on, ask for more steps"
        )
        return None


@contextmanager
def as_trained(seed: int) -> Iterator[None]:
    """Context of torch as models are trained, whatever this process has set.

    Args:
        seed: Seed of all its generators of random numbers.
    """
    before = torch.get_default_dtype()
    with plain_torch(), torch.enable_grad():
        torch.set_default_dtype(torch.float32)
        pl.seed_everything(seed, verbose=False)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


class _Files(TorchCheckpointIO):
    """Checkpoints that are whole or not there, and nothing in which is executed."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Replace the file when the new one is complete."""
        write_archive(Path(path), checkpoint)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Tensors and plain values alone."""
        content = read_archive(Path(path), "a checkpoint of `physml train`")
        return cast(dict[str, Any], content)


def fit(recipe: Recipe, path: Path, run: Run) -> Path:
    """Train by a recipe, and return the path of the result.

    Args:
        recipe: Recipe.
        path: File that the recipe came from, for paths in it.
        run: Place and manner.

    Raises:
        RecipeError: The recipe and the data do not fit, or the checkpoint is unusable.
        DataError: A data file cannot be used, the folder cannot be written, or another
            process is training there.
        TrainingStopped: A signal ended it; a checkpoint is written.
    """
    for reason in recipe.mistakes(run.devices * run.nodes):
        raise RecipeError(reason)
    # Of several processes of one run, the first holds the folder for all.
    first = getattr(rank_zero_only, "rank", 0) == 0
    with FolderLock(run.out) if first else nullcontext():
        identity = run.identity(recipe, path)
        if identity is not None:
            with as_trained(recipe.seed):
                prepare = _KINDS[recipe.kind].prepare
                _train(*prepare(recipe, path, run), run, identity)
    return run.result(recipe)


def _train(
    module: TrainingModule,
    data: TrainingData,
    save: SaveWeights,
    run: Run,
    identity: RecipeIdentity,
) -> None:
    """Train a module on batches; the writer is told after every validation."""
    recipe: Recipe = module.recipe
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
    begun = _Begun()
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
        callbacks=[
            begun,
            *_callbacks(module, data, save, run, identity),
            *run.callbacks,
        ],
        plugins=[_Files()],
        log_every_n_steps=recipe.steps_per_epoch,
        enable_progress_bar=run.progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        inference_mode=False,
    )
    with full_disk(run.out), warnings.catch_warnings():
        # One loader, in memory: worker processes would only cost time.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # What is logged is of all processes already, and the same in each.
        warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
        # Of Lightning's own making: a torch function it calls, a folder it was given.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
        # A run may go on in the middle of an epoch: `StepSampler` knows where.
        warnings.filterwarnings("ignore", message=".*before the epoch ended.*")
        _fit(trainer, module, data, begun, run.resume)
        if trainer.is_global_zero:
            (run.out / "recipe.yaml").write_text(yaml.safe_dump(recipe.to_dict()))


def _fit(
    trainer: pl.Trainer,
    module: TrainingModule,
    data: TrainingData,
    begun: "_Begun",
    resume: Path | None,
) -> None:
    """Train, or say that a checkpoint cannot be gone on from.

    Whatever happens before the first step is in the checkpoint, which can hold any
    value in any place.
    """
    try:
        trainer.fit(module, data, ckpt_path=resume, weights_only=True)
    except (PhysMLError, OSError, TrainingStopped):
        raise
    except Exception as error:
        if resume is None or begun.begun:
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise RecipeError(
            f"{resume}: cannot be gone on from ({said}); start afresh with another "
            "--out"
        ) from error


class _Begun(Callback):
    """Flag that the first step has begun."""

    begun = False

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_batch: Any
    ) -> None:
        """Set it: all is restored by now."""
        self.begun = True


def _callbacks(
    module: TrainingModule,
    data: TrainingData,
    save: SaveWeights,
    run: Run,
    identity: RecipeIdentity,
) -> list[Callback]:
    recipe: Recipe = module.recipe
    callbacks: list[Callback] = [
        save,
        EMAWeightAveraging(decay=recipe.ema),
        Remember(identity, recipe.total_steps),
        LearningRateMonitor("epoch"),
        Curves(run.out),
        ModelCheckpoint(
            run.last.parent,
            filename=run.last.stem,
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        ),
    ]
    if recipe.patience is not None:
        callbacks.append(EarlyStopping("val/score", patience=recipe.patience))
    if run.progress:
        callbacks.append(RichProgressBar(leave=True))
    else:
        callbacks.append(Lines(run.say, recipe.total_steps))
    if recipe.start_from is not None:
        callbacks.append(AgainstStart(save, run.say, data))
    if run.max_time is not None:
        callbacks.append(Budget(run.max_time))
    # Last: the state of all the others goes into the checkpoint it writes.
    return [*callbacks, StopOnSignal(run.last)]
