"""The sets of a recipe as batches for Lightning."""

from pathlib import Path

import lightning.pytorch as pl
import numpy as np
from torch.utils.data import DataLoader, Dataset

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.index_split import Split
from ase_physml.errors import DataError, RecipeError
from ase_physml.training.batches import (
    IN_MEMORY,
    Batch,
    BatchStream,
    FrameStore,
    StagedStream,
    StepSampler,
    steps_done,
)
from ase_physml.training.distributed import share_of
from ase_physml.training.recipe import LossWeights, Recipe, Source, Stage
from ase_physml.training.yaml_recipe import find


class Data(pl.LightningDataModule):
    """Training and validation batches of a recipe.

    Args:
        recipe: Names the sets.
        path: Where it came from.
        in_memory: Sets of more atoms than this are read from their files as they go.

    Attributes:
        stores: Training frames of every source.
        held_out: Validation frames of every source that has a split.
        split_hashes: Source path to the hash of its split.
    """

    def __init__(self, recipe: Recipe, path: Path, in_memory: int = IN_MEMORY) -> None:
        super().__init__()
        self.recipe, self.in_memory = recipe, in_memory
        self.stores: list[FrameStore] = []
        self.held_out: list[FrameStore] = []
        self.split_hashes: dict[str, str] = {}
        for source in recipe.sources:
            self._add(source, path)
        self._check_labels()
        self._streams: dict[tuple[FrameStore, ...], BatchStream] = {}
        self.stream = self.stream_of(recipe.stages[0])

    def _check_labels(self) -> None:
        """Energies of two methods differ by hundreds of eV: refuse to mix them."""
        stored = [store.data for store in self.stores]
        stated = {
            data.metadata.level_of_theory: data.path
            for data in stored
            if data.has("energy") and data.metadata.level_of_theory
        }
        if any(stage.losses.stress for stage in self.recipe.stages) and not any(
            data.has("stress") for data in stored
        ):
            raise RecipeError(
                "the loss of stress has no labels: none of the sets has stress; import "
                "or label cells with it, or leave that loss out"
            )
        baselines = {data.metadata.baseline or "nothing": data.path for data in stored}
        if len(baselines) > 1:
            said = "; ".join(f"{path}: {name}" for name, path in baselines.items())
            raise RecipeError(
                f"the sets are what different baselines leave over ({said}); subtract "
                "one from all with `physml data label --less`"
            )
        if len(stated) > 1:
            said = "; ".join(f"{path}: {level}" for level, path in stated.items())
            raise RecipeError(
                f"the sets differ in level of theory ({said}); train on one of them, "
                "or label the other anew"
            )

    @property
    def level_of_theory(self) -> str:
        """Of the labels, as the sets state it."""
        labelled = [s for s in self.stores if s.data.has("energy")]
        return labelled[0].data.metadata.level_of_theory if labelled else ""

    def stream_of(self, stage: Stage) -> BatchStream:
        """Batches of a stage, from the first on."""
        stores = tuple(s for s in self.stores if _teaches(s, stage.losses))
        if stores not in self._streams:
            self._streams[stores] = BatchStream(
                stores, self.recipe.batch_size, self.recipe.seed
            )
        return self._streams[stores]

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
        store = FrameStore(data, train, self.in_memory, source.compare)
        self.stores.append(store)
        if len(watched) and any(map(data.has, ("energy", "forces", "stress"))):
            self.held_out.append(store.choose(watched))

    @property
    def baseline(self) -> str:
        """What came off the labels of all sets, "" if nothing did."""
        return self.stores[0].data.metadata.baseline

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches in the order of the stream, this process's share of them."""
        stages = [(stage.steps, self.stream_of(stage)) for stage in self.recipe.stages]
        sampler = StepSampler(self.recipe.steps_per_epoch, steps_done(self))
        staged = StagedStream(stages, share_of(self.trainer))
        return DataLoader(staged, batch_size=None, sampler=sampler)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Every validation frame once; an empty loader without a split."""
        watched = BatchStream(self.held_out, 64, 0) if self.held_out else _Nothing()
        return DataLoader(watched, batch_size=None)


def _teaches(store: FrameStore, losses: LossWeights) -> bool:
    """Structures without labels teach nothing to a stage that only fits labels."""
    has = store.data.has
    labels = has("energy") or (losses.forces and has("forces"))
    return losses.physics or bool(labels or (losses.stress and has("stress")))


class _Nothing(Dataset[Batch]):
    def __len__(self) -> int:
        return 0
