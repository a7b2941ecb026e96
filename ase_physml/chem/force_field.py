"""Relaxation with RDKit's force fields: MMFF94, or UFF where that has no parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from ase.units import kcal, mol
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from rdkit.rdBase import BlockLogs

from ase_physml.chem.stereo import FLAT, keeps_bonds, keeps_stereo, placed
from ase_physml.data.frame import Array

_STEPS = 500
# Looked at every so many steps, so often.
_STAGE, _STAGES = 5, 12


def has_mmff(molecule: Chem.Mol) -> bool:
    """MMFF94 has parameters for all of a molecule with explicit hydrogens."""
    with BlockLogs():
        return bool(rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule))


def has_uff(molecule: Chem.Mol) -> bool:
    """The same of UFF."""
    with BlockLogs():
        return bool(rdForceFieldHelpers.UFFHasAllMoleculeParams(molecule))


def minima(
    molecule: Chem.Mol, geometries: Iterable[Array]
) -> Iterator[tuple[float, Array]]:
    """Energy (eV) and positions (Å) of each once relaxed, if it is still this molecule.

    Args:
        molecule: With explicit hydrogens; one that neither field knows has none.
        geometries: Å (n, 3) each.
    """
    mmff = has_mmff(molecule)
    if not mmff and not has_uff(molecule):
        return
    for positions in geometries:
        energy, relaxed = _relaxed(molecule, positions, mmff=mmff)
        if np.isfinite(energy) and _is_still(molecule, relaxed):
            yield energy * kcal / mol, relaxed


def lowest_on_the_way(molecule: Chem.Mol, positions: Array) -> float | None:
    """Energy (eV) of the best geometry, as one relaxes, that is still this molecule.

    Cages whose centres are all but flat may lose them at the very end, and others have
    to go through a flat one; what cannot exist is lost high up, or at once.

    Args:
        molecule: With explicit hydrogens, which one of the fields knows.
        positions: Å (n, 3). Charges do not count.
    """
    trial = placed(molecule, positions)
    field = _field(trial, mmff=has_mmff(molecule), charges=False)
    energies = []
    for steps in (*[_STAGE] * _STAGES, _STEPS):
        with BlockLogs():
            field.Minimize(maxIts=steps)
        energy, now = field.CalcEnergy(), trial.GetConformer().GetPositions()
        if np.isfinite(energy) and _is_still(molecule, now):
            energies.append(energy * kcal / mol)
    return min(energies, default=None)


def _is_still(molecule: Chem.Mol, positions: Array) -> bool:
    return keeps_bonds(molecule, positions) and keeps_stereo(molecule, positions, -FLAT)


def _relaxed(
    molecule: Chem.Mol, positions: Array, *, mmff: bool
) -> tuple[float, Array]:
    trial = placed(molecule, positions)
    field = _field(trial, mmff=mmff, charges=True)
    with BlockLogs():
        field.Minimize(maxIts=_STEPS)
    return float(field.CalcEnergy()), trial.GetConformer().GetPositions()


def _field(trial: Chem.Mol, *, mmff: bool, charges: bool) -> Any:
    with BlockLogs():
        if not mmff:
            return rdForceFieldHelpers.UFFGetMoleculeForceField(trial)
        known = rdForceFieldHelpers.MMFFGetMoleculeProperties(trial)
        known.SetMMFFEleTerm(charges)
        return rdForceFieldHelpers.MMFFGetMoleculeForceField(trial, known)
