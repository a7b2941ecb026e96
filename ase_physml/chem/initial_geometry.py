"""Initial geometries of molecules of which only the bonds are known.

Some stereoisomers cannot exist: bridges would have to pass through a ring. Distance
geometry finds one a geometry all the same. Such an isomer relaxes to another one in a
force field, or lies far above the best of those that differ from it in the
stereocentres of its fused rings alone. Strain that all of these share, as of cubane or
[1.1.1]propellane, is no reason to doubt a molecule; nor is that of trans-cyclooctene or
trans-bicyclo[3.1.0]hexane (41 kcal/mol above cis), which exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from rdkit.rdBase import BlockLogs

from ase_physml.chem.bonds import keeps_bonds
from ase_physml.chem.canonical import canonical_smiles
from ase_physml.chem.embed import TimeLimit, embed, embed_any, etkdg_parameters
from ase_physml.chem.features import Featurised, Order, featurise
from ase_physml.chem.force_field import has_mmff, has_uff, lowest_on_the_way
from ase_physml.chem.smiles import with_positions
from ase_physml.chem.stereo import keeps_stereo, with_stereo_of
from ase_physml.data.frame import Array
from ase_physml.errors import DataError

TRIES = 5
"""Geometries tried where the stereochemistry that is left open came out impossible."""

ForceField = Literal["none", "uff", "mmff94"]

# Energy above the best isomer that is believed, eV: 60 kcal/mol.
_STRAIN = 2.6
# Embeddings that energies are taken from.
_TRIALS = 3
# Embeddings without RDKit's tests of stereocentres: most are other isomers.
_LENIENT = 10
# Steps of a force field, at most.
_STEPS, _STEPS_OF_CONFORMER = 200, 500


def initial_geometry(
    molecule: Chem.Mol, seed: int = 0, limit: TimeLimit | None = None
) -> Array:
    """Geometry of ETKDGv3, then of MMFF94 where it has parameters, Å (N, 3).

    Args:
        molecule: Molecule with explicit hydrogens, which stays as it is.
        seed: Seed of the embeddings.
        limit: Time limit of the embeddings.

    Raises:
        DataError: None with the molecule's bonds and stereochemistry, none in time, or
            a stereoisomer that cannot exist.
    """
    limit = limit or TimeLimit()
    tries = (_embed_checked(molecule, seed + k, limit) for k in range(TRIES))
    return _relaxed(molecule, first_possible(molecule, tries, seed, limit))


def featurise_with_conformer(
    smiles: str,
    seed: int = 0,
    force_field: ForceField = "mmff94",
    order: Order = "smiles",
) -> Featurised:
    """Features with one conformation of heavy atoms, or none where that fails.

    It is the same for every way to write the molecule.

    Raises:
        DataError: As of `featurise`.
    """
    _, molecule, index = canonical_smiles(smiles)
    found = rdkit_conformer(molecule, seed, force_field)
    if found is None:
        return featurise(smiles, order=order)
    as_given = np.empty_like(found)
    as_given[index] = found
    return featurise(smiles, as_given, order)


def rdkit_conformer(
    molecule: Chem.Mol, seed: int, force_field: ForceField = "mmff94"
) -> Array | None:
    """Positions of the heavy atoms of one conformer of RDKit, Å (n, 3), or None.

    Hydrogens are there while it is made: without them, angles and rings come out wrong.

    Args:
        molecule: Molecule without explicit hydrogens, which stays as it is.
        seed: Seed of the embedding.
        force_field: Force field that relaxes it. MMFF94 gives way to UFF, and UFF to
            none, for a molecule with elements that it has no parameters for.
    """
    full = Chem.AddHs(molecule)
    with BlockLogs():
        found = embed_any(full, seed)
        if found is None:
            return None
        full = with_positions(full, found)
        if force_field == "mmff94" and not has_mmff(full):
            force_field = "uff"
        if force_field == "mmff94":
            rdForceFieldHelpers.MMFFOptimizeMolecule(full, maxIters=_STEPS_OF_CONFORMER)
        elif force_field == "uff" and has_uff(full):
            rdForceFieldHelpers.UFFOptimizeMolecule(full, maxIters=_STEPS_OF_CONFORMER)
    # AddHs puts hydrogens last.
    positions = full.GetConformer().GetPositions()[: molecule.GetNumAtoms()]
    return positions if np.isfinite(positions).all() else None


def first_possible(
    molecule: Chem.Mol, geometries: Iterable[Array], seed: int, limit: TimeLimit
) -> Array:
    """First geometry, Å (N, 3), of an isomer that can exist.

    Energies are those of MMFF94, without charges, or of UFF where it has no parameters;
    what neither knows is not judged.

    Args:
        molecule: Molecule with explicit hydrogens, perhaps with stereochemistry left
            open.
        geometries: Geometries of it; only the first is looked at where nothing is open.
        seed: Seed of the embeddings that these are compared with.
        limit: Time limit of these embeddings.

    Raises:
        DataError: There is none.
    """
    best: float | None = None
    refusal = DataError("no geometry")
    for positions in geometries:
        isomer = with_stereo_of(molecule, positions)
        fused = _fused_centres(isomer)
        if len(fused) < 2 or not (has_mmff(isomer) or has_uff(isomer)):
            return positions
        own = _lowest(isomer, [positions])
        if own is None:
            own = _lowest(isomer, _embeddings(isomer, seed, limit))
        if own is not None and best is None:
            best = _lowest(*_freed(isomer, fused, seed, limit))
        # Without time there is no verdict.
        fits = own is not None and (best is None or own - best < _STRAIN)
        if fits or limit.over:
            return positions
        refusal = _refusal(own, best)
        if _centres(isomer) == _centres(molecule):
            break
    raise refusal


def _refusal(own: float | None, best: float | None) -> DataError:
    how = (
        "relaxed with a force field, it becomes another"
        if own is None or best is None
        else f"it lies {own - best:.1f} eV above another by a force field"
    )
    return DataError(
        f"this stereoisomer cannot exist: {how}; check @ and @@ where its rings are "
        "fused"
    )


def _centres(molecule: Chem.Mol) -> int:
    unspecified = Chem.ChiralType.CHI_UNSPECIFIED
    return sum(atom.GetChiralTag() != unspecified for atom in molecule.GetAtoms())


def _freed(
    isomer: Chem.Mol, fused: Sequence[int], seed: int, limit: TimeLimit
) -> tuple[Chem.Mol, Iterator[Array]]:
    """Molecule with its fused rings left open, and geometries of it."""
    free = Chem.Mol(isomer)
    for index in fused:
        free.GetAtomWithIdx(index).SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    return free, _embeddings(free, seed, limit)


def _fused_centres(molecule: Chem.Mol) -> list[int]:
    """Stereocentres that belong to several rings."""
    rings = molecule.GetRingInfo()
    return [
        atom.GetIdx()
        for atom in molecule.GetAtoms()
        if atom.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED
        and rings.NumAtomRings(atom.GetIdx()) > 1
    ]


def _embeddings(molecule: Chem.Mol, seed: int, limit: TimeLimit) -> Iterator[Array]:
    """Geometries that have the stereochemistry that is specified."""
    ways = ((True, False, _TRIALS), (False, False, _LENIENT), (False, True, _LENIENT))
    for strict, random_start, trials in ways:
        if limit.over:
            return
        way = etkdg_parameters(
            seed, strict=strict, random_start=random_start, seconds=limit.left()
        )
        found = embed(molecule, way, trials)
        fitting = [one for one in found if keeps_stereo(molecule, one)]
        if fitting:
            yield from fitting[:_TRIALS]
            return


def _lowest(molecule: Chem.Mol, geometries: Iterable[Array]) -> float | None:
    """Lowest energy of those that are still this isomer, eV; None where none is."""
    energies = (lowest_on_the_way(molecule, positions) for positions in geometries)
    return min((one for one in energies if one is not None), default=None)


def _embed_checked(molecule: Chem.Mol, seed: int, limit: TimeLimit) -> Array:
    for strict, trials in ((True, 1), (False, _LENIENT)):
        for random_start in (False, True):
            way = etkdg_parameters(
                seed, strict=strict, random_start=random_start, seconds=limit.left()
            )
            for found in embed(molecule, way, trials):
                if keeps_bonds(molecule, found) and keeps_stereo(molecule, found):
                    return found
    raise DataError("RDKit finds no 3-D structure; give a file")


def _relaxed(molecule: Chem.Mol, positions: Array) -> Array:
    if not has_mmff(molecule):
        return positions
    trial = with_positions(molecule, positions)
    with BlockLogs():
        rdForceFieldHelpers.MMFFOptimizeMolecule(trial, maxIters=_STEPS)
    found: Array = trial.GetConformer().GetPositions()
    fits = np.isfinite(found).all() and keeps_stereo(molecule, found)
    return found if fits else positions
