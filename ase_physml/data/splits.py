"""Splits by index: made once from a seed, stored, and checked when loaded."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ase_physml.data.ragged import RaggedSet
from ase_physml.data.text_column import text
from ase_physml.errors import DataError

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
        """Frames in the whole set."""
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
        path = Path(path)
        content = {
            "size": self.size,
            "hash": self.hash,
            "val": self.val.tolist(),
            "test": self.test.tolist(),
        }
        partial = path.with_name(path.name + ".part")
        partial.write_text(json.dumps(content) + "\n")
        partial.replace(path)

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
        n: Frames in the set.
        fractions: Of validation and of test; the rest is for training.
        seed: Of the draw.
        groups: If given, one label per frame, read one by one; frames of a group stay
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


def numbered(groups: Iterable[str]) -> npt.NDArray[np.integer[Any]]:
    """The place of each label among all different ones, in their order."""
    seen: dict[str, int] = {}
    found = np.fromiter((seen.setdefault(g, len(seen)) for g in groups), dtype=np.int32)
    place = np.empty(len(seen), dtype=np.int32)
    place[[seen[label] for label in sorted(seen)]] = np.arange(len(seen))
    return place[found]


def groups_of(data: RaggedSet, by: str) -> Iterator[str]:
    """What the frames of a set may be kept together by, one after the other.

    Args:
        data: The set.
        by: "reaction", their name up to its last slash; "composition"; or a column of
            text.

    Raises:
        DataError: The set has no such column.
    """
    for start, stop in data.chunks():
        if by == "composition":
            yield from _compositions(data, start, stop)
            continue
        labels = data.column("name" if by == "reaction" else by, start, stop)
        for label in map(text, labels):
            yield label.rpartition("/")[0] if by == "reaction" else label


def _compositions(data: RaggedSet, start: int, stop: int) -> Iterator[str]:
    first, last = data.offsets[[start, stop]]
    numbers = data.column("atomic_numbers", first, last).astype(np.int64)
    frames = np.repeat(np.arange(stop - start), data.n_atoms[start:stop])
    cells = np.bincount(119 * frames + numbers, minlength=119 * (stop - start))
    kinds, kind = np.unique(cells.reshape(-1, 119), axis=0, return_inverse=True)
    labels = [" ".join(f"{z}:{row[z]}" for z in np.flatnonzero(row)) for row in kinds]
    return (labels[k] for k in kind.ravel())
