"""Geometries of one side of a reaction that lie close to the other side."""

from collections.abc import Iterator

import numpy as np
from rdkit import Chem, DistanceGeometry
from rdkit.Chem import rdForceFieldHelpers
from rdkit.rdBase import BlockLogs
from scipy.spatial.distance import cdist

from ase_physml.chem.atom_mapping import MappedReaction
from ase_physml.chem.bonds import forms_no_bonds, keeps_bonds
from ase_physml.chem.embed import TimeLimit, distance_bounds, embed, etkdg_parameters
from ase_physml.chem.smiles import with_positions
from ase_physml.chem.stereo import keeps_stereo
from ase_physml.data.frame import Array
from ase_physml.workflows.geometry import rmsd

_STEPS = 1000
# How far distances may be from what they were, tried in this order, Å.
_TOLERANCES = (0.1, 0.3, 1.0)
# Embeddings among which the closest is chosen.
_CANDIDATES = 5
# How far atoms that will be joined may be from each other where molecules meet, Å.
_MEETING = 3.5
_MIRROR = np.array([1.0, 1.0, -1.0])


def is_of(molecule: Chem.Mol, positions: Array) -> bool:
    """A geometry has the bonds and the stereochemistry of a molecule, and no others."""
    return (
        bool(np.isfinite(positions).all())
        and keeps_bonds(molecule, positions)
        and forms_no_bonds(molecule, positions)
        and keeps_stereo(molecule, positions)
    )


def grow(reaction: MappedReaction, reactant: Array, seed: int = 0) -> Array | None:
    """A geometry of the product, Å (N, 3), grown out of one of the reactant.

    Bonds of the product are put between the atoms where they are, and UFF pulls them
    together and the others apart, separate molecules until they touch. Where atoms get
    into each other's way, distance geometry finds a product whose distances are near
    those of the reactant.

    Args:
        reaction: To grow reactants out of products, the reverse.
        reactant: Positions, Å (N, 3).
        seed: Of the distance geometry.

    Returns:
        None where neither gives the product.
    """
    start = reaction.handed_over(reactant)
    pulled = _pulled(reaction.product, start)
    if pulled is not None:
        return pulled
    for bounds in _bounds_near(reaction.product, start):
        found = _embedded(reaction.product, bounds, _CANDIDATES, seed)
        mirrored = [_MIRROR * one for one in found]
        fitting = [one for one in [*found, *mirrored] if is_of(reaction.product, one)]
        if fitting:
            return min(fitting, key=lambda one: rmsd(one, start))
    return None


def meet(reaction: MappedReaction, count: int, seed: int) -> list[Array]:
    """Up to so many geometries, Å (N, 3), of reactants that are several molecules.

    Atoms that will be joined are next to each other.
    """
    bounds = distance_bounds(reaction.reactant)
    for i, j in reaction.formed():
        # Upper bounds stand above the diagonal.
        bounds[i, j] = min(bounds[i, j], _MEETING)
    if not DistanceGeometry.DoTriangleSmoothing(bounds):
        return []
    found = _embedded(reaction.reactant, bounds, count, seed)
    return [one for one in found if is_of(reaction.reactant, one)]


def _pulled(molecule: Chem.Mol, start: Array) -> Array | None:
    """By UFF, from anywhere; None if it gets stuck, or lacks parameters."""
    trial = with_positions(molecule, start)
    with BlockLogs():
        if not rdForceFieldHelpers.UFFHasAllMoleculeParams(trial):
            return None
        rdForceFieldHelpers.UFFOptimizeMolecule(
            trial, maxIters=_STEPS, ignoreInterfragInteractions=False
        )
    positions: Array = trial.GetConformer().GetPositions()
    return positions if is_of(molecule, positions) else None


def _bounds_near(molecule: Chem.Mol, start: Array) -> Iterator[Array]:
    """Bounds of the distances of a molecule, as near to those of a start as they go."""
    possible = distance_bounds(molecule)
    upper = np.triu(possible, 1)
    lower = np.tril(possible, -1).T
    distances = cdist(start, start)
    for tolerance in _TOLERANCES:
        high = np.clip(distances + tolerance, lower, upper)
        low = np.clip(distances - tolerance, lower, upper)
        bounds = np.triu(high, 1) + np.triu(low, 1).T
        if DistanceGeometry.DoTriangleSmoothing(bounds):
            yield bounds


def _embedded(molecule: Chem.Mol, bounds: Array, count: int, seed: int) -> list[Array]:
    parameters = etkdg_parameters(
        seed, bounds=bounds, separately=False, seconds=TimeLimit().left()
    )
    return embed(molecule, parameters, count)
