"""Geometries with hydrogens from predicted distances of heavy atoms.

Models of molecules predict how far heavy atoms are from each other; hydrogens and
handedness they leave open. Here the distances become bounds of RDKit's distance
geometry (ETKDGv3), which adds the hydrogens and the stereochemistry of the SMILES.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rdkit import Chem, DistanceGeometry

from ase_physml.chem.etkdg import Clock, bounds_of, embedded, etkdg
from ase_physml.chem.smiles import parse_smiles, shown
from ase_physml.chem.stereo import keeps_bonds, keeps_stereo
from ase_physml.data.frame import Array
from ase_physml.errors import DataError

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
# For each. Where five fail thirty nearly always do, and take most of the time.
_ITERATIONS = 5


@dataclass(frozen=True)
class Target:
    """A molecule with hydrogens and what is predicted of it.

    Attributes:
        molecule: With explicit hydrogens, atoms in the order of the SMILES.
        distances: Predicted, Å (n, n), NaN where an atom is a hydrogen.
    """

    molecule: Chem.Mol
    distances: Array

    def error(self, positions: Array) -> float:
        """Root mean square over pairs of heavy atoms of what distances lack, Å."""
        known = np.triu(np.isfinite(self.distances), 1)
        if not known.any():
            return 0.0
        vectors = positions[:, None] - positions
        lacking = np.linalg.norm(vectors, axis=-1) - self.distances
        return float(np.sqrt(np.mean(lacking[known] ** 2)))


def with_hydrogens(smiles: str) -> Chem.Mol:
    """Read a SMILES; heavy atoms keep its order, hydrogens come after them.

    Raises:
        DataError: Not a valid SMILES, or several molecules.
    """
    molecule = parse_smiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise DataError(
            f"{shown(smiles)} is not a valid SMILES (syntax, valence or aromaticity); "
            "correct it or leave it out"
        )
    if len(Chem.GetMolFrags(molecule)) > 1:
        raise DataError(
            f"{smiles}: several molecules, as in a salt, have no conformation of "
            "their own; give them one by one"
        )
    return Chem.AddHs(molecule)


def heavy_atoms(molecule: Chem.Mol) -> Array:
    """Indices of all atoms but hydrogens, int64."""
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    return np.flatnonzero(numbers != 1)


def follow(target: Target, seed: int, clock: Clock | None = None) -> Array:
    """The geometry closest to the prediction, Å (n, 3).

    Args:
        target: Molecule and prediction.
        seed: Of the embeddings.
        clock: How long they may take.

    Raises:
        DataError: No geometry with the stereochemistry of the molecule is found, or
            none in time.
    """
    for pull in _pulls(target, seed, _PULL, clock or Clock()):
        found = _fitting(target.molecule, pull, _CANDIDATES)
        if found:
            return min(found, key=target.error)
    raise DataError(
        "no geometry with these bonds and this stereochemistry is found; check the "
        "SMILES"
    )


def vary(
    target: Target, count: int, seed: int, clock: Clock | None = None
) -> list[Array]:
    """Up to so many geometries, Å (n, 3) each, in which more than two bonds may turn.

    Distances across one and two bonds are those predicted; torsions are RDKit's.
    Arguments and errors as of `follow`; there may be none.
    """
    hops = Chem.GetDistanceMatrix(target.molecule)
    near = np.where(hops <= 2, target.distances, np.nan)
    local = Target(target.molecule, near)
    for pull in _pulls(local, seed, 1.0, clock or Clock()):
        found = _fitting(local.molecule, pull, count)
        if found:
            return found
    return []


def _pulls(target: Target, seed: int, weight: float, clock: Clock) -> Iterator[Any]:
    """Settings of RDKit, from strict to lenient; the last know no prediction."""
    if np.isfinite(target.distances).any():
        yield from _predicted_pulls(target, seed, weight, clock)
    for strict in (True, False):
        yield _settings(seed, 1.0, None, clock, strict=strict)


def _predicted_pulls(
    target: Target, seed: int, weight: float, clock: Clock
) -> Iterator[Any]:
    possible = bounds_of(target.molecule)
    growths = [(growth, True) for growth in _GROWTH]
    # RDKit's checks of stereocentres refuse every geometry of some small cages; ours
    # see the result.
    for growth, strict in (*growths, (_GROWTH[0], False), (_GROWTH[-1], False)):
        bounds = _bounds(target, possible, growth)
        if bounds is not None:
            yield _settings(seed, weight, bounds, clock, strict=strict)


def _bounds(target: Target, possible: Array, growth: float) -> Array | None:
    """RDKit's bounds with those predicted in their place; None if they contradict."""
    bounds = possible.copy()
    hops = Chem.GetDistanceMatrix(target.molecule)
    tolerance = growth * np.select([hops == 1, hops == 2], [_BOND, _ANGLE], _FAR)
    i, j = np.nonzero(np.triu(np.isfinite(target.distances), 1))
    # Upper bounds stand above the diagonal, lower ones below.
    bounds[i, j] = target.distances[i, j] + tolerance[i, j]
    bounds[j, i] = np.maximum(target.distances[i, j] - tolerance[i, j], 0.0)
    return bounds if DistanceGeometry.DoTriangleSmoothing(bounds) else None


def _settings(
    seed: int, weight: float, bounds: Array | None, clock: Clock, *, strict: bool
) -> Any:
    return etkdg(
        seed,
        attempts=_ITERATIONS,
        strict=strict,
        anywhere=not strict,
        bounds=bounds,
        weight=weight,
        seconds=clock.left(),
    )


def _fitting(molecule: Chem.Mol, settings: Any, count: int) -> list[Array]:
    """Geometries whose bonds and stereochemistry are those of the molecule."""
    return [
        positions
        for positions in embedded(molecule, settings, count)
        if keeps_bonds(molecule, positions) and keeps_stereo(molecule, positions)
    ]
