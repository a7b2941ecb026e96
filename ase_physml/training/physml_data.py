"""Sets of a PhysML recipe as batches for Lightning."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from ase_physml.data.columns import BY_NAME
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.errors import DataError, RecipeError
from ase_physml.training.batches import IN_MEMORY, Batch, BatchStream, FrameStore
from ase_physml.training.distributed import Shard
from ase_physml.training.module import TrainingData
from ase_physml.training.physml_recipe import PhysMLRecipe, Source, Stage
from ase_physml.training.recipe import find

_VALIDATION_BATCH = 64


class PhysMLData(TrainingData):
    """Training and validation batches of a recipe.

    Args:
        recipe: Recipe, which names the sets.
        path: File that it came from.
        in_memory: Sets of more atoms than this are read from their files as they go.

    Attributes:
        stores: Training frames of every source.
        held_out: Validation frames of every source that has a split.
        stream: Batches of the first stage.

    Raises:
        RecipeError: The sets do not fit each other or the losses, or a file is missing.
        DataError: A file cannot be used, or a split is of another set.
    """

    def __init__(
        self, recipe: PhysMLRecipe, path: Path, in_memory: int = IN_MEMORY
    ) -> None:
        super().__init__(recipe)
        self.in_memory = in_memory
        self.losses = [loss for stage in recipe.stages for loss in stage.losses.each]
        self.labels = sorted({name for loss in self.losses for name in loss.labels})
        for name in self.labels:
            if name not in BY_NAME:
                raise RecipeError(f"{path}: a loss learns from {name!r}, no column")
        self.stores: list[FrameStore] = []
        self.held_out: list[FrameStore] = []
        for source in recipe.sources:
            self._add(source, path)
        sets = [store.data for store in self.stores]
        self._check_labels(sets)
        _check_baselines(sets)
        _check_levels(sets)
        self._streams: dict[tuple[FrameStore, ...], BatchStream] = {}
        self.stream = self.stream_of(recipe.stages[0])

    def _check_labels(self, sets: Sequence[RaggedSet]) -> None:
        for loss in (loss for loss in self.losses if loss.needs_labels):
            for label in loss.labels:
                if not any(data.has(label) for data in sets):
                    what = "cells" if BY_NAME[label].of_cells else "frames"
                    raise RecipeError(
                        f"the loss of {loss.name} has no labels: none of the sets has "
                        f"{label}; import or label {what} with it, or leave that loss "
                        "out"
                    )

    @property
    def level_of_theory(self) -> str:
        """Level of theory of the labels, as the sets state it."""
        labelled = [s for s in self.stores if s.data.has("energy")]
        return labelled[0].data.metadata.level_of_theory if labelled else ""

    @property
    def baseline(self) -> str:
        """Baseline that came off the labels of all sets, "" if none did."""
        return self.stores[0].data.metadata.baseline

    def stream_of(self, stage: Stage) -> BatchStream:
        """Batches of a stage, from the first on, of the sets that teach it anything."""
        teaches = stage.losses.teaches
        stores = tuple(s for s in self.stores if teaches(s.data.columns))
        if stores not in self._streams:
            self._streams[stores] = BatchStream(
                stores, self.recipe.batch_size, self.recipe.seed
            )
        return self._streams[stores]

    def batch_at(self, step: int, share: Shard) -> Batch:
        """A process's share of the batch that an optimizer step learns from."""
        stage, within = self.recipe.stage_at(step)
        return self.stream_of(stage).batch(within, share, step)

    def validation(self) -> Dataset[Batch]:
        """Every validation frame once; an empty set without a split."""
        if not self.held_out:
            return _Nothing()
        return BatchStream(self.held_out, _VALIDATION_BATCH, 0)

    def _add(self, source: Source, path: Path) -> None:
        data = RaggedSet(find(source.path, path))
        train, watched = np.arange(len(data)), np.arange(0)
        if source.split is not None:
            split = Split.load(find(source.split, path))
            if split.size != len(data):
                raise DataError(
                    f"{source.split} splits {split.size} frames but {source.path} has "
                    f"{len(data)}: it was made for another file"
                )
            train = split.train
            watched = split.val[: self.recipe.validate]
            self.split_hashes[Path(source.path).name] = split.hash
        if source.share < 1.0:
            random = np.random.default_rng(self.recipe.seed)
            train = np.sort(random.permutation(train)[: int(len(train) * source.share)])
        store = FrameStore(data, train, self.in_memory, source.compare, self.labels)
        self.stores.append(store)
        labels = ("energy", "forces", "stress", *self.labels)
        if len(watched) and any(map(data.has, labels)):
            self.held_out.append(store.choose(watched))


def _check_baselines(sets: Sequence[RaggedSet]) -> None:
    baselines = {data.metadata.baseline or "nothing": data.path for data in sets}
    if len(baselines) > 1:
        said = "; ".join(f"{path}: {name}" for name, path in baselines.items())
        raise RecipeError(
            f"the sets are what different baselines leave over ({said}); subtract "
            "one from all with `physml data label --less`"
        )


def _check_levels(sets: Sequence[RaggedSet]) -> None:
    """Energies of two methods differ by hundreds of eV: refuse to mix them."""
    stated = {
        data.metadata.level_of_theory: data.path
        for data in sets
        if data.has("energy") and data.metadata.level_of_theory
    }
    if len(stated) > 1:
        said = "; ".join(f"{path}: {level}" for level, path in stated.items())
        raise RecipeError(
            f"the sets differ in level of theory ({said}); train on one of them, "
            "or label the other anew"
        )


class _Nothing(Dataset[Batch]):
    def __len__(self) -> int:
        return 0
