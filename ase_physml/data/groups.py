"""Frames of a set that belong together, by their names or by what they are made of.

Frames of a reaction are named ``NAME/r``, ``NAME/ts`` and ``NAME/p``. Frames of an
adsorption are named ``family/metal-molecule-site``, their clean slabs
``metal_surfaces/metal-...`` and their molecules ``gas_family/molecule``, as in the set
of GAME-Net (Pablo-García et al. 2023, doi:10.1038/s43588-023-00437-y).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ase_physml.data.columns import text
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Array, Frame
from ase_physml.errors import DataError

_ROLES = ("r", "ts", "p")
# Reactions that are read at a time.
_BATCH = 1024
_SLABS, _GAS = "metal_surfaces", "gas_"
# Å; above the rounding of single precision, below the last printed digit.
_UNMOVED = 2e-3


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


@dataclass(frozen=True)
class Adsorption:
    """Molecule on a surface, as frames of a set.

    Attributes:
        index: Place of the frame of both together.
        slab: Place of the clean slab.
        gas: Place of the molecule alone.
        metal: Symbol of the metal, as the set writes it.
        adsorbate: ``family/molecule``.
        site: Rest of the name: it tells several frames of the same two apart.
        energy: Energy of adsorption ``E(both) - E(slab) - E(molecule)``, eV; negative
            if it binds.
    """

    index: int
    slab: int
    gas: int
    metal: str
    adsorbate: str
    site: str
    energy: float


def adsorptions(data: RaggedSet) -> list[Adsorption]:
    """Frames of a molecule on a slab, each with its adsorption energy.

    Raises:
        DataError: No names or energies, a name that cannot be read, or a frame whose
            clean slab or molecule is not in the set.
    """
    names = [text(name) for name in data.column("name")]
    energies = data.column("energy").astype(np.float64)
    places = {name: i for i, name in enumerate(names)}
    slabs = {
        name.split("/")[1].split("-")[0]: i
        for name, i in places.items()
        if name.startswith(_SLABS + "/")
    }
    found = []
    for i, name in enumerate(names):
        if name.startswith((_SLABS, _GAS)):
            continue
        family, metal, molecule, site = _parts(data, name)
        slab, gas = slabs.get(metal), places.get(f"{_GAS}{family}/{molecule}")
        if slab is None or gas is None:
            what = f"clean slab of {metal}" if slab is None else f"molecule {molecule}"
            raise DataError(f"{data.path}: {name} has no {what} to compare with")
        energy = float(energies[i] - energies[slab] - energies[gas])
        found.append(
            Adsorption(i, slab, gas, metal, f"{family}/{molecule}", site, energy)
        )
    if not found:
        raise DataError(f"{data.path}: no frame is of a molecule on a slab")
    return found


def _parts(data: RaggedSet, name: str) -> tuple[str, str, str, str]:
    family, _, rest = name.partition("/")
    parts = rest.split("-")
    if len(parts) < 2:
        raise DataError(
            f"{data.path}: {name!r} is not of the form family/metal-molecule-site"
        )
    return family, parts[0], parts[1], "-".join(parts[2:])


def held_in_slabs(data: RaggedSet, found: list[Adsorption]) -> dict[int, Array]:
    """Atoms of each clean slab that no adsorbate has moved: those that were held.

    Args:
        data: Set of the frames.
        found: Result of `adsorptions`; their first atoms are those of the
            slab, in its order.

    Returns:
        From the place of a clean slab to a mask of its atoms, (n,) bool.
    """
    on_slab: dict[int, list[int]] = defaultdict(list)
    for one in found:
        on_slab[one.slab].append(one.index)
    return {
        slab: np.logical_and.reduce(
            [_unmoved(frame, data[slab]) for frame in data.read(np.array(indices))]
        )
        for slab, indices in on_slab.items()
    }


def _unmoved(frame: Frame, slab: Frame) -> Array:
    """Mask (n,) of atoms of a slab that are where they were, but for translations."""
    n = len(slab.numbers)
    if slab.cell is None or not np.array_equal(frame.numbers[:n], slab.numbers):
        raise DataError(f"{frame.name}: does not begin with the atoms of {slab.name}")
    moved = (frame.positions[:n] - slab.positions) @ np.linalg.inv(slab.cell)
    rest = (moved - moved.round()) @ slab.cell
    unmoved: Array = np.linalg.norm(rest, axis=1) < _UNMOVED
    return unmoved


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
