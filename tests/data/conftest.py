"""Small sets and files in the layouts that other people publish."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write


def random_frames(count: int, seed: int = 0) -> list[Frame]:
    random = np.random.default_rng(seed)
    frames = []
    for i in range(count):
        n = int(random.integers(1, 8))
        frames.append(
            Frame(
                numbers=random.choice([1, 6, 7, 8], n).astype(np.uint8),
                positions=random.normal(size=(n, 3)) * 2,
                energy=float(random.normal()),
                forces=random.normal(size=(n, 3)),
                name=f"frame {i}",
                smiles="C" * (i % 5),
            )
        )
    return frames


@pytest.fixture
def frames() -> list[Frame]:
    return random_frames(30)


@pytest.fixture
def make_set(tmp_path: Path, frames: list[Frame]) -> Callable[[], Path]:
    def make() -> Path:
        path = tmp_path / "set.h5"
        write(path, frames, Metadata("PBE", equilibrium=False, source="random"))
        return path

    return make
