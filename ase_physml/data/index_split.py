"""Splits by index: made once from a seed, stored, and checked when loaded."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ase_physml.data.groups import numbered
from ase_physml.errors import DataError
from ase_physml.jobs.disk import write_json

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Frame indices for training, validation and test; no frame is in two parts.

    The file stores validation and test, and the size of the set: training is the rest.
    """

    train: Ints
    val: Ints
    test: Ints

    @property
    def size(self) -> int:
        """Number of frames in the whole set."""
        return len(self.train) + len(self.val) + len(self.test)

    @property
    def hash(self) -> str:
        """SHA-256 of the three index lists."""
        digest = hashlib.sha256()
        for part in (self.train, self.val, self.test):
            digest.update(np.sort(part).astype("<i8").tobytes() + b"|")
        return digest.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write as JSON, atomically."""
        content = {
            "size": self.size,
            "hash": self.hash,
            "val": self.val.tolist(),
            "test": self.test.tolist(),
        }
        write_json(Path(path), content)

    @classmethod
    def load(cls, path: str | Path) -> "Split":
        """Read a stored split.

        Raises:
            DataError: Unreadable, or its hash does not match its indices.
        """
        try:
            content = json.loads(Path(path).read_text())
            val = np.array(content["val"], dtype=np.int64)
            test = np.array(content["test"], dtype=np.int64)
            size, stored = int(content["size"]), str(content["hash"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not a split file ({error})") from error
        rest = np.setdiff1d(np.arange(size), np.concatenate([val, test]))
        split = cls(rest, val, test)
        # A size that differs means an index twice, or one outside the set.
        if split.hash != stored or split.size != size:
            raise DataError(
                f"{path}: the indices do not match the stored hash; it was edited "
                "or damaged, restore it"
            )
        return split


def make_split(
    n: int,
    fractions: tuple[float, float],
    seed: int,
    groups: Iterable[str] | None = None,
) -> Split:
    """Draw validation and test parts.

    Args:
        n: Number of frames in the set.
        fractions: Fractions of validation and of test; the rest is for training.
        seed: Seed of the draw.
        groups: Labels, one per frame, read one by one, or None; frames of a group stay
            together (all images of a reaction, all conformers of a molecule).

    Raises:
        DataError: No frames, not one label for each, or nothing left to train on.
    """
    if n < 1:
        raise DataError("there are no frames to split")
    random = np.random.default_rng(seed)
    member = np.arange(n) if groups is None else numbered(groups)
    if len(member) != n:
        raise DataError(f"{len(member)} group labels for {n} frames; give one each")
    order = random.permutation(int(member.max()) + 1)
    n_val, n_test = (round(f * len(order)) for f in fractions)
    if min(fractions) < 0 or n_val + n_test >= len(order):
        raise DataError(
            f"fractions {fractions} of {len(order)} leave nothing to train on"
        )
    part = np.zeros(len(order), dtype=np.int64)
    n_train = len(order) - n_val - n_test
    part[order[n_train : n_train + n_val]] = 1
    part[order[n_train + n_val :]] = 2
    of_frame = part[member]
    train, val, test = (np.flatnonzero(of_frame == k) for k in range(3))
    # In random order, so that "the first 1000" is a fair sample.
    return Split(train, random.permutation(val), random.permutation(test))
