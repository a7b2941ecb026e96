"""Reactions in a set: frames named ``NAME/r``, ``NAME/ts`` and ``NAME/p``."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ase_physml.data.frame import Frame
from ase_physml.data.ragged import RaggedSet
from ase_physml.errors import DataError

_ROLES = ("r", "ts", "p")


@dataclass(frozen=True)
class Reaction:
    """The known structures of one reaction.

    Attributes:
        name: Without the role.
        reactant: One end.
        product: The other.
        saddle: Transition state, where the set has it.
        index: Frames of reactant and product.
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
    for index, name in enumerate(names):
        text = name.decode() if isinstance(name, bytes) else str(name)
        reaction, _, role = text.rpartition("/")
        if role in _ROLES and reaction:
            places.setdefault(reaction, {})[role] = index
    complete = {n: p for n, p in places.items() if "r" in p and "p" in p}
    if not complete:
        raise DataError(
            f"{data.path}: no reactions; frames of one are named NAME/r, NAME/p and, "
            "where it is known, NAME/ts"
        )
    for name, place in complete.items():
        yield Reaction(
            name=name,
            reactant=data[place["r"]],
            product=data[place["p"]],
            saddle=data[place["ts"]] if "ts" in place else None,
            index=(place["r"], place["p"]),
        )
