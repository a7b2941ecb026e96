"""Adsorption energies: of a slab with a molecule on it against both apart.

Frames of an adsorption are named ``family/metal-molecule-site``, their clean slabs
``metal_surfaces/metal-...`` and their molecules ``gas_family/molecule``, as in the set
of GAME-Net (Pablo-García et al. 2023, doi:10.1038/s43588-023-00437-y).
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ase_physml.data.columns import text
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Array, Frame
from ase_physml.errors import DataError

_SLABS, _GAS = "metal_surfaces", "gas_"
# Å; above the rounding of single precision, below the last printed digit.
_UNMOVED = 2e-3


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
