"""Relaxation with RDKit's force fields: MMFF94, or UFF where that has no parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from ase.units import kcal, mol
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from rdkit.rdBase import BlockLogs

from ase_physml.data.frame import Array
from ase_physml.molecules.stereo import FLAT, keeps_bonds, keeps_stereo, placed

_STEPS = 500


def has_mmff(molecule: Chem.Mol) -> bool:
    """MMFF94 has parameters for all of a molecule with explicit hydrogens."""
    with BlockLogs():
        return bool(rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule))


def has_uff(molecule: Chem.Mol) -> bool:
    """The same of UFF."""
    with BlockLogs():
        return bool(rdForceFieldHelpers.UFFHasAllMoleculeParams(molecule))


def minima(
    molecule: Chem.Mol, geometries: Iterable[Array], *, charges: bool = True
) -> Iterator[tuple[float, Array]]:
    """Energy (eV) and positions (Å) of each once relaxed, if it is still this molecule.

    Args:
        molecule: With explicit hydrogens; one that neither field knows has none.
        geometries: Å (n, 3) each.
        charges: Count interactions of charges; UFF has none.
    """
    mmff = has_mmff(molecule)
    if not mmff and not has_uff(molecule):
        return
    for positions in geometries:
        energy, relaxed = _relaxed(molecule, positions, mmff=mmff, charges=charges)
        if not np.isfinite(energy) or not keeps_bonds(molecule, relaxed):
            continue
        if keeps_stereo(molecule, relaxed, -FLAT):
            yield energy * kcal / mol, relaxed


def _relaxed(
    molecule: Chem.Mol, positions: Array, *, mmff: bool, charges: bool
) -> tuple[float, Array]:
    trial = placed(molecule, positions)
    with BlockLogs():
        if mmff:
            known = rdForceFieldHelpers.MMFFGetMoleculeProperties(trial)
            known.SetMMFFEleTerm(charges)
            field = rdForceFieldHelpers.MMFFGetMoleculeForceField(trial, known)
        else:
            field = rdForceFieldHelpers.UFFGetMoleculeForceField(trial)
        field.Minimize(maxIts=_STEPS)
        return float(field.CalcEnergy()), trial.GetConformer().GetPositions()
