"""Batches: each frame once a pass, the same whenever they are asked for."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import DataError
from ase_physml.training.batches import (
    Batch,
    BatchStream,
    FrameStore,
)
from ase_physml.training.distributed import Shard
from ase_physml.training.module import StepSampler
from ase_physml.training.physml_data import PhysMLData
from ase_physml.training.physml_recipe import FrameLosses, PhysMLRecipe, Source, Stage


@pytest.fixture
def store(sets: Path) -> FrameStore:
    return FrameStore(RaggedSet(sets / "labelled.h5"), np.arange(64))


def same(a: Batch, b: Batch) -> bool:
    return torch.equal(a.positions, b.positions) and torch.equal(a.numbers, b.numbers)


def test_a_pass_visits_every_frame_once(store: FrameStore) -> None:
    stream = BatchStream([store], 5, seed=0)
    seen = Counter(
        energy for t in range(len(stream)) for energy in stream[t].energies.tolist()
    )
    assert set(seen.values()) == {1}
    assert len(seen) == 64


def test_batches_do_not_depend_on_what_was_drawn_before(store: FrameStore) -> None:
    late = BatchStream([store], 5, seed=0)[40]
    stream = BatchStream([store], 5, seed=0)
    for t in range(40):
        stream[t]
    assert same(stream[40], late)
    assert late.step == 40


def test_passes_and_seeds_differ(store: FrameStore) -> None:
    stream = BatchStream([store], 5, seed=0)
    order = [stream[t].energies.tolist() for t in range(len(stream))]
    second = [stream[t + len(stream)].energies.tolist() for t in range(len(stream))]
    other = BatchStream([store], 5, seed=1)
    third = [other[t].energies.tolist() for t in range(len(other))]
    assert order != second
    assert order != third


def test_frames_that_are_compared_stay_together(sets: Path) -> None:
    data = RaggedSet(sets / "labelled.h5")
    store = FrameStore(data, np.arange(64), compare="composition")
    stream = BatchStream([store], 4, seed=0)
    seen = 0
    for t in range(len(stream)):
        group = stream[t].group
        assert group is not None
        # Each group is one run: it changes as often as there are others.
        changes = int((group[1:] != group[:-1]).sum())
        assert changes == len(group.unique()) - 1
        seen += len(group)
    assert seen == 64


def test_memory_and_file_give_the_same(store: FrameStore, sets: Path) -> None:
    from_file = FrameStore(RaggedSet(sets / "labelled.h5"), np.arange(64), 0)
    assert not from_file.columns
    for t in range(6):
        a = BatchStream([store], 5, 0)[t]
        b = BatchStream([from_file], 5, 0)[t]
        assert same(a, b)
        assert torch.equal(a.energies, b.energies)


def test_labels_that_are_missing_are_nan(sets: Path) -> None:
    unlabelled = FrameStore(RaggedSet(sets / "equilibrium.h5"), np.arange(16))
    batch = BatchStream([unlabelled], 4, 0)[0]
    assert batch.energies.isnan().all()
    assert batch.forces.isnan().all()
    assert batch.equilibrium


def test_stages_follow_each_other(store: FrameStore) -> None:
    stages = (Stage(6), Stage(4, FrameLosses.from_weights(zero_force=1.0)))
    paths = (store.data.path, store.data.path.with_name("equilibrium.h5"))
    sources = tuple(Source(str(path)) for path in paths)
    recipe = PhysMLRecipe(name="x", sources=sources, stages=stages, batch_size=4)
    data = PhysMLData(recipe, Path("x.yaml"))
    first, second = map(data.stream_of, stages)
    # The set without labels teaches nothing to the first stage.
    assert [len(first.stores), len(second.stores)] == [1, 2]
    assert same(data.batch_at(5, Shard()), first[5])
    batch = data.batch_at(6, Shard())
    assert same(batch, second[0])
    assert batch.step == 6


def test_processes_share_every_batch(store: FrameStore) -> None:
    stream = BatchStream([store], 5, 0)
    for step in range(20):
        expected = stream[step].energies
        found = torch.full_like(expected, torch.nan)
        for rank in range(3):
            batch = stream.batch(step, Shard(rank, 3))
            assert (batch.step, batch.size) == (step, len(expected))
            # Whoever has no molecule takes one, which is not to be counted.
            some = batch.share.count(batch.size)
            assert len(batch.energies) == max(1, some)
            found[rank::3] = batch.energies[:some]
        assert torch.equal(found, expected)


def test_sampler_goes_on_with_the_epoch() -> None:
    sampler = StepSampler(3)
    steps = iter(sampler)
    # As Lightning does when it resumes.
    sampler.set_epoch(2)
    assert list(steps) == [6, 7, 8]


def test_a_set_must_say_whether_it_is_at_equilibrium(tmp_path: Path) -> None:
    from ase_physml.data.frame import Frame
    from ase_physml.data.metadata import Metadata
    from ase_physml.data.writer import write

    path = tmp_path / "unknown.h5"
    write(path, [Frame(np.array([1]), np.zeros((1, 3)), 1.0)], Metadata())
    with pytest.raises(DataError, match="equilibrium"):
        FrameStore(RaggedSet(path), np.arange(1))


def test_no_frames(sets: Path) -> None:
    empty = FrameStore(RaggedSet(sets / "labelled.h5"), np.arange(0))
    with pytest.raises(DataError, match="no frames"):
        BatchStream([empty], 4, 0)


def test_frames_without_a_label_are_not_compared(tmp_path: Path) -> None:
    frames = [
        Frame(np.array([6]), np.zeros((1, 3)), energy=0.0, smiles=smiles)
        for smiles in ("C", "", "C")
    ]
    write(tmp_path / "a.h5", frames, Metadata("none", equilibrium=True))
    with pytest.raises(DataError, match="frame 1 has no smiles"):
        FrameStore(RaggedSet(tmp_path / "a.h5"), np.arange(3), compare="smiles")
