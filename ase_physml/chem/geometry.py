"""One geometry of a molecule that nothing is known of but its bonds."""

from __future__ import annotations

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from rdkit.rdBase import BlockLogs

from ase_physml.chem.etkdg import Clock, embedded, etkdg
from ase_physml.chem.force_field import has_mmff
from ase_physml.chem.stereo import keeps_bonds, keeps_stereo, placed
from ase_physml.chem.strain import LENIENT, TRIES, first_possible
from ase_physml.data.frame import Array
from ase_physml.errors import DataError

_STEPS = 200


def some_geometry(
    molecule: Chem.Mol, seed: int = 0, clock: Clock | None = None
) -> Array:
    """Of ETKDGv3, then of MMFF94 where it has parameters, Å (n, 3).

    Args:
        molecule: With explicit hydrogens; left as it is.
        seed: Of the embedding.
        clock: How long it may take.

    Raises:
        DataError: None with the molecule's bonds and stereochemistry, none in time, or
            a stereoisomer that cannot exist.
    """
    clock = clock or Clock()
    tries = (_embedded(molecule, seed + k, clock) for k in range(TRIES))
    return _relaxed(molecule, first_possible(molecule, tries, seed, clock))


def _embedded(molecule: Chem.Mol, seed: int, clock: Clock) -> Array:
    for strict, trials in ((True, 1), (False, LENIENT)):
        for anywhere in (False, True):
            way = etkdg(seed, strict=strict, anywhere=anywhere, seconds=clock.left())
            for found in embedded(molecule, way, trials):
                if keeps_bonds(molecule, found) and keeps_stereo(molecule, found):
                    return found
    raise DataError("RDKit finds no 3-D structure; give a file")


def _relaxed(molecule: Chem.Mol, positions: Array) -> Array:
    if not has_mmff(molecule):
        return positions
    trial = placed(molecule, positions)
    with BlockLogs():
        rdForceFieldHelpers.MMFFOptimizeMolecule(trial, maxIters=_STEPS)
    found: Array = trial.GetConformer().GetPositions()
    fits = np.isfinite(found).all() and keeps_stereo(molecule, found)
    return found if fits else positions
