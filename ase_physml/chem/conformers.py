"""Conformations from RDKit: ETKDGv3 with hydrogens, then a force field."""

from __future__ import annotations

from typing import Literal

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from rdkit.rdBase import BlockLogs

from ase_physml.chem.canonical import canonical
from ase_physml.chem.etkdg import first_embedded
from ase_physml.chem.featurise import Featurised, Order, featurise
from ase_physml.chem.force_field import has_mmff, has_uff
from ase_physml.chem.stereo import placed
from ase_physml.data.frame import Array

ForceField = Literal["none", "uff", "mmff94"]

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
        found = first_embedded(full, seed)
        if found is None:
            return None
        full = placed(full, found)
        if force_field == "mmff94" and not has_mmff(full):
            force_field = "uff"
        if force_field == "mmff94":
            rdForceFieldHelpers.MMFFOptimizeMolecule(full, maxIters=_STEPS)
        elif force_field == "uff" and has_uff(full):
            rdForceFieldHelpers.UFFOptimizeMolecule(full, maxIters=_STEPS)
    # AddHs puts hydrogens last.
    positions = full.GetConformer().GetPositions()[: molecule.GetNumAtoms()]
    return positions if np.isfinite(positions).all() else None
