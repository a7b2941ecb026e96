"""Geometries by RDKit's distance geometry, ETKDGv3: its parameters, limits, and aims.

Models of molecules predict how far heavy atoms are from each other; hydrogens and
handedness they leave open. Here the distances become bounds of distance geometry, which
adds the hydrogens and the stereochemistry of the SMILES.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import ceil
from time import monotonic
from typing import Any

import numpy as np
from rdkit import Chem, DistanceGeometry
from rdkit.Chem import rdDistGeom
from rdkit.rdBase import BlockLogs

from ase_physml.chem.bonds import keeps_bonds
from ase_physml.chem.stereo import keeps_stereo
from ase_physml.data.frame import Array
from ase_physml.errors import DataError

MAX_ATOMS = 200
"""Default limit of the atoms of a molecule, hydrogens aside: times of an embedding go
with the third power, minutes from here."""

TIMEOUT = 60.0
"""Default time limit of the embeddings of a molecule, s."""

ATTEMPTS = 20
"""Number of embeddings that RDKit starts before it gives a molecule up."""

# RDKit's own seeds are of 32 bits.
_SEEDS = 2**31 - 1
# Distances across one and two bonds hardly vary between conformers, Å.
_BOND, _ANGLE = 0.01, 0.03
# Of all others, for the conformer that follows the prediction: about its own error.
_FAR = 0.1
# Predictions need not fit into three dimensions: then all of these grow.
_GROWTH = (1.0, 2.0, 4.0, 8.0, 16.0)
# Times RDKit's own weight of bounds against torsions, for that conformer.
_PULL = 10.0
# Embeddings among which the one closest to the prediction is chosen.
_CANDIDATES = 5
# Of each of these. Where five fail thirty nearly always do, and take most of the time.
_ATTEMPTS_PREDICTED = 5


class TimeLimit:
    """Time limit of all embeddings of one molecule together, which runs from now on.

    Args:
        seconds: Time, s.
    """

    def __init__(self, seconds: float = TIMEOUT) -> None:
        self._seconds = seconds
        self._end = monotonic() + seconds

    @property
    def over(self) -> bool:
        """True if no time is left."""
        return monotonic() >= self._end

    def left(self) -> int:
        """Time left in whole seconds, as RDKit counts them, 1 at least.

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
    """Refuse a molecule of more atoms, hydrogens aside, than a limit.

    Raises:
        DataError: Naming the limit.
    """
    if heavy_atoms > most:
        raise DataError(
            f"{heavy_atoms:,} atoms besides hydrogen, more than the "
            f"limit of {most}; allow more (max_atoms, --max-atoms), which takes "
            "minutes or hours"
        )


def etkdg_parameters(
    seed: int,
    *,
    attempts: int = ATTEMPTS,
    strict: bool = True,
    random_start: bool = False,
    bounds: Array | None = None,
    weight: float = 1.0,
    separately: bool = True,
    seconds: int = 0,
) -> Any:
    """Parameters of RDKit's ETKDGv3; all embeddings take theirs from here.

    Args:
        seed: Seed of the embeddings, 0 or more.
        attempts: Number of embeddings that are started before a molecule is given up.
        strict: Test stereocentres, which refuses every geometry of some bridgeheads and
            small cages, one molecule of QM9 in twelve; without the tests these come out
            well, but others may come out as another stereoisomer.
        random_start: Start from random coordinates rather than random distances.
        bounds: Bounds of distances, Å (N, N), upper ones above the diagonal; RDKit's
            own if None.
        weight: Weight of bounds against torsions, 1 as in RDKit.
        separately: Embed the parts of a molecule one by one.
        seconds: Time limit of an embedding, s; 0 for none.
    """
    # Its stubs take every setting for read-only.
    parameters: Any = rdDistGeom.ETKDGv3()
    # To RDKit, 0 and 1 are the same.
    parameters.randomSeed = (seed + 1) % _SEEDS
    parameters.maxIterations = attempts
    parameters.enforceChirality = strict
    parameters.useRandomCoords = random_start
    parameters.boundsMatForceScaling = weight
    parameters.embedFragmentsSeparately = separately
    parameters.timeout = seconds
    if bounds is not None:
        parameters.SetBoundsMat(bounds)
    return parameters


def embed_any(
    molecule: Chem.Mol, seed: int, limit: TimeLimit | None = None
) -> Array | None:
    """Geometry of a molecule, Å (N, 3); None if there is none.

    Where RDKit's tests of stereocentres refuse all, it is one that has not passed them.

    Raises:
        DataError: None in time.
    """
    limit = limit or TimeLimit()
    for strict, random_start in ((True, False), (False, False), (False, True)):
        way = etkdg_parameters(
            seed, strict=strict, random_start=random_start, seconds=limit.left()
        )
        found = embed(molecule, way)
        if found:
            return found[0]
    return None


def embed(molecule: Chem.Mol, parameters: Any, count: int = 1) -> list[Array]:
    """Geometries, Å (N, 3) each, at most so many; the molecule stays as it is."""
    trial = Chem.Mol(molecule)
    with BlockLogs():
        rdDistGeom.EmbedMultipleConfs(trial, count, parameters)
    found = [conformer.GetPositions() for conformer in trial.GetConformers()]
    return [positions for positions in found if np.isfinite(positions).all()]


def distance_bounds(molecule: Chem.Mol) -> Array:
    """RDKit's bounds of distances, Å (N, N), not yet smoothed.

    Upper bounds stand above the diagonal, lower ones below.
    """
    with BlockLogs():
        bounds: Array = rdDistGeom.GetMoleculeBoundsMatrix(
            molecule, doTriangleSmoothing=False
        )
    return bounds


def distance_error(distances: Array, positions: Array) -> float:
    """Root mean square deviation of distances from those predicted, Å.

    Args:
        distances: Predicted distances, Å (N, N), NaN where nothing is predicted.
        positions: Positions, Å (N, 3).
    """
    known = np.triu(np.isfinite(distances), 1)
    if not known.any():
        return 0.0
    vectors = positions[:, None] - positions
    lacking = np.linalg.norm(vectors, axis=-1) - distances
    return float(np.sqrt(np.mean(lacking[known] ** 2)))


def embed_predicted(
    molecule: Chem.Mol, distances: Array, seed: int, limit: TimeLimit | None = None
) -> Array:
    """Geometry closest to predicted distances, Å (N, 3).

    Args:
        molecule: Molecule with explicit hydrogens.
        distances: Predicted distances, Å (N, N), NaN where nothing is predicted.
        seed: Seed of the embeddings.
        limit: Time limit of the embeddings.

    Raises:
        DataError: No geometry with the stereochemistry of the molecule is found, or
            none in time.
    """
    error = partial(distance_error, distances)
    for parameters in _ways(molecule, distances, seed, _PULL, limit or TimeLimit()):
        found = _fitting(molecule, parameters, _CANDIDATES)
        if found:
            return min(found, key=error)
    raise DataError(
        "no geometry with these bonds and this stereochemistry is found; check the "
        "SMILES"
    )


def embed_varied(
    molecule: Chem.Mol,
    distances: Array,
    count: int,
    seed: int,
    limit: TimeLimit | None = None,
) -> list[Array]:
    """Geometries whose bonds and angles are predicted and whose torsions are RDKit's.

    Args:
        molecule: Molecule with explicit hydrogens.
        distances: Predicted distances, of which those across one and two bonds count, Å
            (N, N), NaN where nothing is predicted.
        count: Number of geometries, at most.
        seed: Seed of the embeddings.
        limit: Time limit of the embeddings.

    Returns:
        Geometries, Å (N, 3) each; there may be none.

    Raises:
        DataError: None in time.
    """
    near = np.where(Chem.GetDistanceMatrix(molecule) <= 2, distances, np.nan)
    for parameters in _ways(molecule, near, seed, 1.0, limit or TimeLimit()):
        found = _fitting(molecule, parameters, count)
        if found:
            return found
    return []


def _ways(
    molecule: Chem.Mol, distances: Array, seed: int, weight: float, limit: TimeLimit
) -> Iterator[Any]:
    """Parameters of RDKit, from strict to lenient; the last know no prediction."""
    parameters = partial(etkdg_parameters, seed, attempts=_ATTEMPTS_PREDICTED)
    if np.isfinite(distances).any():
        possible = distance_bounds(molecule)
        growths = [(growth, True) for growth in _GROWTH]
        # RDKit's checks of stereocentres refuse every geometry of some small cages;
        # ours see the result.
        for growth, strict in (*growths, (_GROWTH[0], False), (_GROWTH[-1], False)):
            bounds = _predicted_bounds(molecule, distances, possible, growth)
            if bounds is not None:
                yield parameters(
                    strict=strict,
                    random_start=not strict,
                    bounds=bounds,
                    weight=weight,
                    seconds=limit.left(),
                )
    for strict in (True, False):
        yield parameters(strict=strict, random_start=not strict, seconds=limit.left())


def _predicted_bounds(
    molecule: Chem.Mol, distances: Array, possible: Array, growth: float
) -> Array | None:
    """RDKit's bounds with those predicted in their place; None if they contradict."""
    bounds = possible.copy()
    hops = Chem.GetDistanceMatrix(molecule)
    tolerance = growth * np.select([hops == 1, hops == 2], [_BOND, _ANGLE], _FAR)
    i, j = np.nonzero(np.triu(np.isfinite(distances), 1))
    # Upper bounds stand above the diagonal, lower ones below.
    bounds[i, j] = distances[i, j] + tolerance[i, j]
    bounds[j, i] = np.maximum(distances[i, j] - tolerance[i, j], 0.0)
    return bounds if DistanceGeometry.DoTriangleSmoothing(bounds) else None


def _fitting(molecule: Chem.Mol, parameters: Any, count: int) -> list[Array]:
    """Geometries whose bonds and stereochemistry are those of the molecule."""
    return [
        positions
        for positions in embed(molecule, parameters, count)
        if keeps_bonds(molecule, positions) and keeps_stereo(molecule, positions)
    ]
