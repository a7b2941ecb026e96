"""Batches of molecules with what is to be learned about them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ase_physml.bonded_graph import BondedGraph, Variant, variant_of
from ase_physml.chem.collate import collate
from ase_physml.chem.features import element_names
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.chem.property_sets import PropertySet
from ase_physml.data.frame import Array
from ase_physml.data.index_split import Split
from ase_physml.errors import DataError, RecipeError
from ase_physml.training.distributed import Shard
from ase_physml.training.module import TrainingData
from ase_physml.training.molecular_recipe import MolecularRecipe
from ase_physml.training.recipe import find

_PREDICTION_BATCH = 256


@dataclass(frozen=True)
class MolecularBatch:
    """Molecules of one step.

    Attributes:
        graph: Their graphs, with the conformations that are known.
        targets: Targets (M, T), NaN where unknown, or None.
        share: Part of the step's batch that these molecules are.
        whole: Molecules of the whole batch; None if these are all.
    """

    graph: BondedGraph
    targets: Tensor | None
    share: Shard = field(default_factory=Shard)
    whole: int | None = None

    @property
    def size(self) -> int:
        """Molecules of the batch, in all processes."""
        return self.graph.n_molecules if self.whole is None else self.whole

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move, as Lightning does."""
        targets = None if self.targets is None else self.targets.to(*args, **kwargs)
        return replace(self, graph=self.graph.to(*args, **kwargs), targets=targets)


class MolecularStream(Dataset[MolecularBatch]):
    """Endless batches of random molecules: ``stream[t]`` for t = 0, 1, 2, ...

    One pass visits every molecule once, in an order drawn from the seed and the number
    of the pass; the last, smaller batch of a pass is left out where there are others.

    Args:
        molecules: All molecules.
        indices: Those to learn from.
        batch_size: Molecules of a step.
        seed: Seed of the order.
    """

    def __init__(
        self,
        molecules: "Molecules",
        indices: Array,
        batch_size: int,
        seed: int,
    ) -> None:
        self.molecules, self.indices, self.seed = molecules, indices, seed
        self.batch_size = min(batch_size, len(indices))
        self.per_pass = len(indices) // self.batch_size
        self._order: tuple[int, Array] | None = None

    def __getitem__(self, step: int) -> MolecularBatch:
        return self.batch(step)

    def batch(self, step: int, share: Shard | None = None) -> MolecularBatch:
        """A batch of the stream, or a process's share of it."""
        number, within = divmod(step, self.per_pass)
        if self._order is None or self._order[0] != number:
            random = np.random.default_rng([self.seed, number])
            self._order = number, random.permutation(self.indices)
        start = within * self.batch_size
        chosen = self._order[1][start : start + self.batch_size]
        return self.molecules.batch(chosen, share)


@dataclass(frozen=True)
class Molecules:
    """Molecules in memory, with or without targets.

    Attributes:
        store: Graphs of all molecules.
        properties: Their targets, or None.
        variant: Variant of the atom features.
    """

    store: MoleculeStore
    properties: PropertySet | None
    variant: Variant = "paper"

    @classmethod
    def load(cls, path: Path, with_targets: bool, atom_features: int) -> Self:
        """Read a store, or a property set, for a model of that many atom features.

        Raises:
            DataError: As of `MoleculeStore.load`, or targets are asked for and there
                are none.
        """
        variant = variant_of(atom_features)
        if not with_targets:
            return cls(MoleculeStore.load(path), None, variant)
        found = PropertySet.load(path)
        return cls(found.store, found, variant)

    def split(self, path: Path) -> Split:
        """Read a split of these molecules.

        Raises:
            DataError: As of `Split.load`, or it is of another number of molecules.
        """
        split = Split.load(path)
        if split.size != len(self.store):
            raise DataError(
                f"{path}: splits {split.size:,} molecules, but there are "
                f"{len(self.store):,}; make a split of this set"
            )
        return split

    def batch(self, indices: Array, share: Shard | None = None) -> MolecularBatch:
        """Molecules as one batch, or a process's share of them."""
        share = share or Shard()
        own, targets = share.of(indices), None
        if self.properties is not None:
            targets = torch.from_numpy(self.properties.targets[own]).float()
        graph = collate(self.store.select(own), self.variant)
        return MolecularBatch(graph, targets, share, len(indices))

    def batches(self, indices: Array) -> Iterator[MolecularBatch]:
        """Molecules in batches, all of them in order."""
        for start in range(0, len(indices), _PREDICTION_BATCH):
            yield self.batch(indices[start : start + _PREDICTION_BATCH])


class _Batches(Dataset[MolecularBatch]):
    def __init__(self, molecules: Molecules, indices: Array) -> None:
        self.parts = list(molecules.batches(indices))

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> MolecularBatch:
        return self.parts[index]


class MolecularData(TrainingData):
    """Training and validation molecules of a recipe.

    Raises:
        RecipeError: A file is missing, or nothing is left to train on.
        DataError: A file cannot be used, or the split is of another set.
    """

    def __init__(self, recipe: MolecularRecipe, path: Path) -> None:
        super().__init__(recipe)
        source = find(recipe.data, path)
        self.molecules = Molecules.load(
            source, recipe.learns_properties, recipe.model.atom_features
        )
        split = self.molecules.split(find(recipe.split, path))
        self.split_hashes = {source.name: split.hash}
        self._check(source, split.train)
        self.train = self._usable(split.train)
        if recipe.share < 1.0:
            random = np.random.default_rng(recipe.seed)
            kept = max(1, int(len(self.train) * recipe.share))
            self.train = random.permutation(self.train)[:kept]
        self.watched = self._usable(split.val)[: recipe.validate]
        self.stream = MolecularStream(
            self.molecules, self.train, recipe.batch_size, recipe.seed
        )

    @property
    def properties(self) -> PropertySet | None:
        """Targets, if there are any."""
        return self.molecules.properties

    @property
    def elements(self) -> list[str]:
        """Names of the elements of the molecules to train on."""
        store = self.molecules.store
        chosen = np.zeros(len(store), dtype=bool)
        chosen[self.train] = True
        rows = np.repeat(chosen, store.n_atoms)
        return element_names(store.rows["atom_features"][rows])

    def _check(self, source: Path, train: Array) -> None:
        if not len(train):
            raise RecipeError(f"{self.recipe.split}: leaves nothing to train on")
        needed = self.recipe.learns_conformations or self.recipe.reads_positions
        if needed and not self.molecules.store.has_positions[train].any():
            raise RecipeError(
                f"{source}: no molecule to train on has a conformation, which the "
                "losses or the model need; make the set with conformers"
            )

    def _usable(self, indices: Array) -> Array:
        """Indices without those that lack a conformation, if they could not be used."""
        if self.recipe.learns_properties and not self.recipe.reads_positions:
            return indices
        usable: Array = indices[self.molecules.store.has_positions[indices]]
        return usable

    def batch_at(self, step: int, share: Shard) -> MolecularBatch:
        """A process's share of the batch that an optimizer step learns from."""
        return self.stream.batch(step, share)

    def validation(self) -> Dataset[MolecularBatch]:
        """Every watched molecule once."""
        return _Batches(self.molecules, self.watched)
