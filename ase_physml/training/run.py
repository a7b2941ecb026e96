"""From a recipe to a potential: the Lightning loop around `PhysMLTraining`."""

import datetime as dt
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
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
from torch.utils.data import DataLoader, Dataset

from ase_physml.data.ragged import RaggedSet
from ase_physml.data.splits import Split
from ase_physml.errors import DataError, RecipeError
from ase_physml.models.physml.model import PhysML
from ase_physml.potentials.card import PotentialCard
from ase_physml.potentials.checkpoint import load_potential, save_potential
from ase_physml.training.batches import (
    Batch,
    BatchStream,
    FrameStore,
    StagedStream,
    StepSampler,
)
from ase_physml.training.curves import plot_curves
from ase_physml.training.module import PhysMLTraining
from ase_physml.training.recipe import Recipe, Source, Stage, find
from ase_physml.training.reference import elements_of, fit_bias, fit_self_energies


class Data(pl.LightningDataModule):
    """Training and validation batches of a recipe.

    Attributes:
        stores: Training frames of every source.
        held_out: Validation frames of every source that has a split.
        split_hashes: Source path to the hash of its split.
    """

    def __init__(self, recipe: Recipe, path: Path) -> None:
        super().__init__()
        self.recipe = recipe
        self.stores: list[FrameStore] = []
        self.held_out: list[FrameStore] = []
        self.split_hashes: dict[str, str] = {}
        for source in recipe.sources:
            self._add(source, path)
        self.stream = self._stream(recipe.stages[0])

    def _stream(self, stage: Stage) -> BatchStream:
        # Structures without labels teach nothing to a stage that only fits labels.
        stores = self.stores
        if not stage.losses.physics:
            stores = [s for s in stores if s.data.has("energy")]
        return BatchStream(stores, self.recipe.batch_size, self.recipe.seed)

    def _add(self, source: Source, path: Path) -> None:
        data = RaggedSet(find(source.path, path))
        train = np.arange(len(data))
        if source.split is not None:
            split = Split.load(find(source.split, path))
            if split.size != len(data):
                raise DataError(
                    f"{source.split} splits {split.size} frames but {source.path} has "
                    f"{len(data)}: it was made for another file"
                )
            train = split.train
            watched = split.val[: self.recipe.validate]
            if len(watched) and data.has("energy"):
                self.held_out.append(FrameStore(data, watched))
            self.split_hashes[Path(source.path).name] = split.hash
        if source.share < 1.0:
            random = np.random.default_rng(self.recipe.seed)
            train = np.sort(random.permutation(train)[: int(len(train) * source.share)])
        self.stores.append(FrameStore(data, train))

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches in the order of the stream, this process's share of them."""
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        stages = [(stage.steps, self._stream(stage)) for stage in self.recipe.stages]
        sampler = StepSampler(self.recipe.steps_per_epoch, rank, world)
        return DataLoader(StagedStream(stages, world), batch_size=None, sampler=sampler)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Every validation frame once; an empty loader without a split."""
        watched = BatchStream(self.held_out, 64, 0) if self.held_out else _Nothing()
        return DataLoader(watched, batch_size=None)


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
    model, _ = load_potential(find(recipe.start_from, path))
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
    return model.float().requires_grad_(True)


class _Nothing(Dataset[Batch]):
    def __len__(self) -> int:
        return 0


class SavePotential(Callback):
    """Write the averaged weights as a potential and redraw the curves."""

    def __init__(self, out: Path, card: PotentialCard) -> None:
        self.out, self.card = out, card

    def on_validation_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Here the module holds the averaged weights."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, PhysMLTraining)
        notes = {**self.card.training, "steps": trainer.global_step}
        card = replace(self.card, training=notes)
        save_potential(self.out / f"{self.out.name}.pt", pl_module.model, card)

    def on_train_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Curves up to here."""
        if trainer.is_global_zero:
            plot_curves(self.out / "csv", self.out / "curves.png")


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
        max_time: Stop cleanly, with a checkpoint, after this long.
        devices: Processes.
        strategy: Lightning strategy, for example "ddp".
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
    torch.set_float32_matmul_precision("high")
    trainer = pl.Trainer(
        default_root_dir=out,
        # Not max_steps: with it, Lightning skips an epoch when it resumes between two.
        max_epochs=recipe.total_steps // recipe.steps_per_epoch,
        max_time=max_time,
        gradient_clip_val=recipe.clip,
        precision=recipe.precision,  # type: ignore[arg-type]
        devices=devices,
        strategy=strategy,
        accelerator=accelerator,
        logger=[
            CSVLogger(out, name="csv"),
            TensorBoardLogger(out, name="", version="tensorboard"),
        ],
        callbacks=[
            *_callbacks(recipe, out, card_of(recipe, data), progress),
            *callbacks,
        ],
        enable_progress_bar=progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        inference_mode=False,
    )
    with warnings.catch_warnings():
        # One loader, in memory: worker processes would only cost time.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        trainer.fit(PhysMLTraining(model, recipe), data, ckpt_path=resume)
    return out / f"{out.name}.pt"


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
