"""Matching of the atoms of a structure with those of a topology."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from ase import Atoms
from rdkit import Chem

from ase_physml.calculators.checks import check_finite
from ase_physml.calculators.restraints import Indices, Restraints
from ase_physml.chem.bonds import perceive_bonds
from ase_physml.data.frame import Frame
from ase_physml.errors import DataError, StructureError

# Of the heavy atoms; only symmetric molecules have more than a few.
_MOST_MATCHES = 1000


def match(molecule: Chem.Mol, restraints: Restraints, like: Atoms) -> Indices:
    """Atoms of a structure in the order of a molecule, (N,).

    Bonds of the structure are perceived from its distances. Where the symmetry of the
    graph leaves a choice, it falls on the lowest restraint energy.

    Args:
        molecule: With all hydrogens.
        restraints: Restraints of its pairs.
        like: All atoms, in the geometry of a neutral molecule.

    Raises:
        StructureError: No bonds explain the structure, or they are others.
    """
    found = _perceived(like)
    orders = _isomorphisms(molecule, found)
    if not orders:
        raise StructureError(
            f"the bonds of the structure, {Chem.MolToSmiles(Chem.RemoveHs(found))}, "
            f"are not those of {Chem.MolToSmiles(Chem.RemoveHs(molecule))}; give the "
            "SMILES of this molecule, or a structure in which no bond is stretched"
        )
    energies = [
        restraints.energy_and_forces(like.positions[order], 1.0)[0] for order in orders
    ]
    return orders[int(np.argmin(energies))]


def _perceived(like: Atoms) -> Chem.Mol:
    check_finite(like)
    try:
        return perceive_bonds(Frame(like.numbers, like.positions))
    except DataError as error:
        raise StructureError(
            f"the atoms cannot be matched with the graph: {error}"
        ) from error


def _isomorphisms(molecule: Chem.Mol, found: Chem.Mol) -> list[Indices]:
    """Atoms of ``found`` in the order of ``molecule``, one array for each match."""
    wanted, atoms, hydrogens = _skeleton(molecule)
    given, others, their_hydrogens = _skeleton(found)
    if molecule.GetNumAtoms() != found.GetNumAtoms() or (
        wanted.GetNumBonds() != given.GetNumBonds()
    ):
        return []
    orders = []
    for match in given.GetSubstructMatches(
        wanted, uniquify=False, maxMatches=_MOST_MATCHES
    ):
        order = np.empty(molecule.GetNumAtoms(), dtype=np.int64)
        for k, place in enumerate(match):
            order[atoms[k]] = others[place]
            order[hydrogens[k]] = their_hydrogens[place]
        orders.append(order)
    return orders


def _skeleton(molecule: Chem.Mol) -> tuple[Chem.Mol, list[int], list[list[int]]]:
    """Heavy atoms joined by single bonds, their places, and their hydrogens.

    The number of hydrogens goes into the isotope, which matches compare. Hydrogens of
    one atom are alike to the graph; bond orders and charges are left to its drawing.
    """
    hydrogens = defaultdict(list)
    for bond in molecule.GetBonds():
        ends = bond.GetBeginAtom(), bond.GetEndAtom()
        for one, other in (ends, ends[::-1]):
            if one.GetAtomicNum() == 1:
                hydrogens[other.GetIdx()].append(one.GetIdx())
    heavy = [a.GetIdx() for a in molecule.GetAtoms() if a.GetAtomicNum() != 1]
    place = {atom: k for k, atom in enumerate(heavy)}
    skeleton = Chem.RWMol()
    for atom in heavy:
        node = Chem.Atom(molecule.GetAtomWithIdx(atom).GetAtomicNum())
        node.SetIsotope(1 + len(hydrogens[atom]))
        skeleton.AddAtom(node)
    for bond in molecule.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if i in place and j in place:
            skeleton.AddBond(place[i], place[j], Chem.BondType.SINGLE)
    return skeleton.GetMol(), heavy, [hydrogens[atom] for atom in heavy]
