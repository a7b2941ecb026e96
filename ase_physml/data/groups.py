"""Frames of a set that belong together, by their names or by what they are made of.

Frames of a reaction are named ``NAME/r``, ``NAME/ts`` and ``NAME/p``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ase_physml.data.columns import text
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.errors import DataError

_ROLES = ("r", "ts", "p")
# Reactions that are read at a time.
_BATCH = 1024


@dataclass(frozen=True)
class Reaction:
    """Known structures of one reaction.

    Attributes:
        name: Name without the role.
        reactant: Structure at one end.
        product: Structure at the other.
        saddle: Transition state, where the set has it.
        index: Places of reactant and product in the set.
    """

    name: str
    reactant: Frame
    product: Frame
    saddle: Frame | None
    index: tuple[int, int]


def reactions(data: RaggedSet) -> Iterator[Reaction]:
    """Reactions of a set, in its order; frames of one may lie anywhere.

    Raises:
        DataError: No frame is named as those of a reaction are.
    """
    places: dict[str, dict[str, int]] = {}
    names: Iterable[Any] = data.column("name") if data.has("name") else ()
    for index, name in enumerate(map(text, names)):
        reaction, _, role = name.rpartition("/")
        if role in _ROLES and reaction:
            places.setdefault(reaction, {})[role] = index
    complete = [(n, p) for n, p in places.items() if "r" in p and "p" in p]
    if not complete:
        raise DataError(
            f"{data.path}: no reactions; frames of one are named NAME/r, NAME/p and, "
            "where it is known, NAME/ts"
        )
    for start in range(0, len(complete), _BATCH):
        yield from _read_reactions(data, complete[start : start + _BATCH])


def _read_reactions(
    data: RaggedSet, places: list[tuple[str, dict[str, int]]]
) -> Iterator[Reaction]:
    """Some reactions by name and the frame of each role, read together."""
    indices = [index for _, place in places for index in place.values()]
    frames = dict(zip(indices, data.read(np.array(indices)), strict=True))
    for name, place in places:
        yield Reaction(
            name=name,
            reactant=frames[place["r"]],
            product=frames[place["p"]],
            saddle=frames[place["ts"]] if "ts" in place else None,
            index=(place["r"], place["p"]),
        )


def numbered(groups: Iterable[str]) -> npt.NDArray[np.integer[Any]]:
    """Place of each label among all different ones, sorted: int32 (n,)."""
    seen: dict[str, int] = {}
    found = np.fromiter((seen.setdefault(g, len(seen)) for g in groups), dtype=np.int32)
    place = np.empty(len(seen), dtype=np.int32)
    place[[seen[label] for label in sorted(seen)]] = np.arange(len(seen))
    return place[found]


def groups_of(data: RaggedSet, by: str) -> Iterator[str]:
    """Labels of frames that are kept together, one for each frame of a set.

    Args:
        data: Set of the frames.
        by: "reaction", the name of a frame up to its last slash; "composition"; or a
            column of text.

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
