"""RDKit's distance geometry, ETKDGv3: its settings, and how long it may take."""

from __future__ import annotations

from math import ceil
from time import monotonic
from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from rdkit.rdBase import BlockLogs

from ase_physml.data.frame import Array
from ase_physml.errors import DataError

MAX_ATOMS = 200
"""Atoms but hydrogens that a molecule may have unless somebody allows more: times of an
embedding go with the third power, minutes from here."""

TIMEOUT = 60.0
"""Seconds that the embeddings of a molecule may take unless somebody allows more."""

ATTEMPTS = 20
"""Embeddings that RDKit starts before it gives a molecule up."""

# RDKit's own seeds are of 32 bits.
_SEEDS = 2**31 - 1


class Clock:
    """How long the embeddings of one molecule may go on.

    Args:
        seconds: All of them together.
    """

    def __init__(self, seconds: float = TIMEOUT) -> None:
        self._seconds = seconds
        self._end = monotonic() + seconds

    @property
    def over(self) -> bool:
        """No time is left."""
        return monotonic() >= self._end

    def left(self) -> int:
        """Whole seconds, as RDKit counts them, 1 at least.

        Raises:
            DataError: None are left.
        """
        if self.over:
            raise DataError(
                f"no geometry within {self._seconds:g} s; allow more time (timeout, "
                "--timeout), or give a smaller molecule"
            )
        return max(1, ceil(self._end - monotonic()))


def check_size(heavy_atoms: int, most: int) -> None:
    """Refuse a molecule of more atoms, without hydrogens, than that.

    Raises:
        DataError: Naming the limit.
    """
    if heavy_atoms > most:
        raise DataError(
            f"{heavy_atoms:,} atoms besides hydrogen, more than the "
            f"limit of {most}; allow more (max_atoms, --max-atoms), which takes "
            "minutes or hours"
        )


def etkdg(
    seed: int,
    *,
    attempts: int = ATTEMPTS,
    strict: bool = True,
    anywhere: bool = False,
    bounds: Array | None = None,
    weight: float = 1.0,
    seconds: int = 0,
) -> Any:
    """Settings of RDKit.

    Args:
        seed: 0 and more give different geometries.
        attempts: Embeddings that are started before a molecule is given up.
        strict: Test stereocentres, which refuses every geometry of some bridgeheads and
            small cages, one molecule of QM9 in twelve; without the tests these come out
            well, but others may come out as another stereoisomer.
        anywhere: Start from random coordinates rather than random distances.
        bounds: Of distances, Å (n, n), upper ones above the diagonal; RDKit's own if
            None.
        weight: Of bounds against torsions, in RDKit's own.
        seconds: That an embedding may take; 0 for any number.
    """
    # Its stubs take every setting for read-only.
    settings: Any = rdDistGeom.ETKDGv3()
    # To RDKit, 0 and 1 are the same.
    settings.randomSeed = (seed + 1) % _SEEDS
    settings.maxIterations = attempts
    settings.enforceChirality = strict
    settings.useRandomCoords = anywhere
    settings.boundsMatForceScaling = weight
    settings.timeout = seconds
    if bounds is not None:
        settings.SetBoundsMat(bounds)
    return settings


def first_embedded(
    molecule: Chem.Mol, seed: int, clock: Clock | None = None
) -> Array | None:
    """A geometry of a molecule that nothing is known of, Å (n, 3); None if none is.

    Where RDKit's tests of stereocentres refuse all, one that has not passed them.

    Raises:
        DataError: None in time.
    """
    clock = clock or Clock()
    for strict, anywhere in ((True, False), (False, False), (False, True)):
        way = etkdg(seed, strict=strict, anywhere=anywhere, seconds=clock.left())
        found = embedded(molecule, way)
        if found:
            return found[0]
    return None


def embedded(molecule: Chem.Mol, settings: Any, count: int = 1) -> list[Array]:
    """Geometries, Å (n, 3) each, at most so many; the molecule stays as it is."""
    trial = Chem.Mol(molecule)
    with BlockLogs():
        rdDistGeom.EmbedMultipleConfs(trial, count, settings)
    found = [conformer.GetPositions() for conformer in trial.GetConformers()]
    return [positions for positions in found if np.isfinite(positions).all()]


def bounds_of(molecule: Chem.Mol) -> Array:
    """RDKit's bounds of distances, Å (n, n), not yet smoothed."""
    with BlockLogs():
        bounds: Array = rdDistGeom.GetMoleculeBoundsMatrix(
            molecule, doTriangleSmoothing=False
        )
    return bounds
