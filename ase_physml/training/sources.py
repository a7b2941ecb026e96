"""The sets of a recipe as batches for Lightning."""

from pathlib import Path

import lightning.pytorch as pl
import numpy as np
from torch.utils.data import DataLoader, Dataset

from ase_physml.data.ragged import RaggedSet
from ase_physml.data.splits import Split
from ase_physml.errors import DataError, RecipeError
from ase_physml.training.batches import (
    Batch,
    BatchStream,
    FrameStore,
    StagedStream,
    StepSampler,
)
from ase_physml.training.recipe import Recipe, Source, Stage
from ase_physml.training.yaml_recipe import find


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
        self._check_labels()
        self.stream = self.stream_of(recipe.stages[0])

    def _check_labels(self) -> None:
        """Energies of two methods differ by hundreds of eV: refuse to mix them."""
        stated = {
            data.metadata.level_of_theory: data.path
            for data in (store.data for store in self.stores)
            if data.has("energy") and data.metadata.level_of_theory
        }
        if len(stated) > 1:
            said = "; ".join(f"{path}: {level}" for level, path in stated.items())
            raise RecipeError(
                f"the sets differ in level of theory ({said}); train on one of them, "
                "or label the other anew"
            )

    def stream_of(self, stage: Stage) -> BatchStream:
        """Batches of a stage, from the first on."""
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
        stages = [(stage.steps, self.stream_of(stage)) for stage in self.recipe.stages]
        sampler = StepSampler(self.recipe.steps_per_epoch, rank, world)
        return DataLoader(StagedStream(stages, world), batch_size=None, sampler=sampler)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Every validation frame once; an empty loader without a split."""
        watched = BatchStream(self.held_out, 64, 0) if self.held_out else _Nothing()
        return DataLoader(watched, batch_size=None)


class _Nothing(Dataset[Batch]):
    def __len__(self) -> int:
        return 0
