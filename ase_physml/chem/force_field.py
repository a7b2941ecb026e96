"""Relaxation with RDKit's force fields: MMFF94, or UFF where that has no parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from ase.units import kcal, mol
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from rdkit.rdBase import BlockLogs

from ase_physml.chem.bonds import keeps_bonds
from ase_physml.chem.smiles import with_positions
from ase_physml.chem.stereo import FLAT, keeps_stereo
from ase_physml.data.frame import Array

_STEPS = 500
# Energies are looked at every so many steps, so often.
_STAGE, _STAGES = 5, 12


def has_mmff(molecule: Chem.Mol) -> bool:
    """True if MMFF94 has parameters for a molecule with explicit hydrogens."""
    with BlockLogs():
        return bool(rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule))


def has_uff(molecule: Chem.Mol) -> bool:
    """True if UFF has parameters for a molecule with explicit hydrogens."""
    with BlockLogs():
        return bool(rdForceFieldHelpers.UFFHasAllMoleculeParams(molecule))


def minima(
    molecule: Chem.Mol, geometries: Iterable[Array]
) -> Iterator[tuple[float, Array]]:
    """Energies (eV) and positions (Å) of geometries once relaxed.

    Those that are no longer this molecule are left out.

    Args:
        molecule: Molecule with explicit hydrogens; one that neither field knows has no
            minima.
        geometries: Positions, Å (N, 3) each.
    """
    mmff = has_mmff(molecule)
    if not mmff and not has_uff(molecule):
        return
    for positions in geometries:
        energy, relaxed = _relaxed(molecule, positions, mmff=mmff)
        if np.isfinite(energy) and _is_still(molecule, relaxed):
            yield energy * kcal / mol, relaxed


def lowest_on_the_way(molecule: Chem.Mol, positions: Array) -> float | None:
    """Lowest energy (eV), as a geometry relaxes, at which it is still this molecule.

    Cages whose centres are all but flat may lose them at the very end, and others have
    to go through a flat one; what cannot exist is lost high up, or at once.

    Args:
        molecule: Molecule with explicit hydrogens, which one of the fields knows;
            charges do not count.
        positions: Positions, Å (N, 3).
    """
    trial = with_positions(molecule, positions)
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
    trial = with_positions(molecule, positions)
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
