"""Conformations from RDKit: ETKDGv3 with hydrogens, then a force field."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from rdkit.rdBase import BlockLogs

from ase_physml.data.frame import Array
from ase_physml.molecules.canonical import canonical
from ase_physml.molecules.featurise import Featurised, Order, featurise

ForceField = Literal["none", "uff", "mmff94"]

_ATTEMPTS = 20
_STEPS = 500


def featurise_with_conformer(
    smiles: str,
    seed: int = 0,
    force_field: ForceField = "mmff94",
    order: Order = "smiles",
) -> Featurised:
    """Features and one conformation, without hydrogens; None where there is none.

    It is the same for every way to write the molecule.

    Raises:
        DataError: As of `featurise`.
    """
    _, molecule, index = canonical(smiles)
    found = conformer(molecule, seed, force_field)
    if found is None:
        return featurise(smiles, order=order)
    as_given = np.empty_like(found)
    as_given[index] = found
    return featurise(smiles, as_given, order)


def conformer(
    molecule: Chem.Mol, seed: int, force_field: ForceField = "mmff94"
) -> Array | None:
    """Positions of the heavy atoms of one conformer, Å (n, 3); None on failure.

    Hydrogens are there while it is made: without them, angles and rings come out wrong.

    Args:
        molecule: Without explicit hydrogens; left as it is.
        seed: Of the embedding.
        force_field: That relaxes it. MMFF94 gives way to UFF, and UFF to none, for a
            molecule with elements that it has no parameters for.
    """
    full = Chem.AddHs(molecule)
    with BlockLogs():
        if not _embedded(full, seed):
            return None
        if force_field == "mmff94" and not _has_mmff(full):
            force_field = "uff"
        if force_field == "mmff94":
            rdForceFieldHelpers.MMFFOptimizeMolecule(full, maxIters=_STEPS)
        elif force_field == "uff" and _has_uff(full):
            rdForceFieldHelpers.UFFOptimizeMolecule(full, maxIters=_STEPS)
    # AddHs puts hydrogens last.
    positions = full.GetConformer().GetPositions()[: molecule.GetNumAtoms()]
    return positions if np.isfinite(positions).all() else None


def _embedded(full: Chem.Mol, seed: int) -> bool:
    """Embed in place, less strictly for what that fails on.

    Tests of stereocentres refuse every geometry of some bridgeheads and small cages,
    one molecule of QM9 in twelve; without them these come out well.
    """
    parameters: Any = rdDistGeom.ETKDGv3()
    parameters.randomSeed = seed + 1  # to RDKit, 0 and 1 are the same
    parameters.maxIterations = _ATTEMPTS
    for strict, anywhere in ((True, False), (False, False), (False, True)):
        parameters.enforceChirality = strict
        parameters.useRandomCoords = anywhere
        if rdDistGeom.EmbedMolecule(full, parameters) == 0:
            return True
    return False


def _has_mmff(full: Chem.Mol) -> bool:
    return bool(rdForceFieldHelpers.MMFFHasAllMoleculeParams(full))


def _has_uff(full: Chem.Mol) -> bool:
    return bool(rdForceFieldHelpers.UFFHasAllMoleculeParams(full))
