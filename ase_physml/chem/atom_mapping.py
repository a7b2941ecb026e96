"""Atom-mapped reactions: which atom of the product is which of the reactant."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rdkit import Chem
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from ase_physml.chem.smiles import parse_smiles, shown
from ase_physml.data.frame import Array
from ase_physml.errors import DataError

# Costs beside squared distances, Å^2: of a hydrogen that changes its owner though it
# need not, and of one that would be another than the map numbers say.
_MOVES = 1e3
_IS_ANOTHER = 1e6


@dataclass(frozen=True)
class MappedReaction:
    """Reactant and product of the same atoms, each one molecule or several.

    Hydrogens that sit on the same atom before, and on the same atom after, are alike;
    and where they have no map numbers, as few as possible change their owner.

    Attributes:
        smiles: Reaction SMILES as given.
        reactant: Reactant with all hydrogens. Atoms stand in the order of their map
            numbers, hydrogens without one last.
        product: Product, likewise; its hydrogens without a map number may be any of
            those of the reactant that `penalty` allows.
        hydrogens: Places of the hydrogens, int64 (H,).
        penalty: Penalty for a hydrogen of the reactant being one of the product, Å^2
            (H, H).
    """

    smiles: str
    reactant: Chem.Mol
    product: Chem.Mol
    hydrogens: Array
    penalty: Array

    def reverse(self) -> MappedReaction:
        """Reaction from the product to the reactant."""
        return replace(
            self,
            reactant=self.product,
            product=self.reactant,
            penalty=self.penalty.T,
        )

    def match(self, reactant: Array, product: Array) -> Array:
        """Atoms of the product in the order of the reactant, int64 (N,).

        Args:
            reactant: Positions, Å (N, 3).
            product: Positions in the same frame, Å (N, 3); near hydrogens are taken for
                the same.
        """
        near = cdist(reactant[self.hydrogens], product[self.hydrogens], "sqeuclidean")
        order = np.arange(len(reactant))
        order[self.hydrogens] = self.hydrogens[self._assigned(near)]
        return order

    def handed_over(self, reactant: Array) -> Array:
        """Positions of the reactant, Å (N, 3), in the order of the product.

        Of the hydrogens that may leave, those nearest to their new owners do.
        """
        owners = _owners(self.product, self.hydrogens)
        near = cdist(reactant[self.hydrogens], reactant[owners], "sqeuclidean")
        positions = reactant.copy()
        positions[self.hydrogens[self._assigned(near)]] = reactant[self.hydrogens]
        return positions

    def formed(self) -> list[tuple[int, int]]:
        """Pairs of atoms that are joined in the product and not in the reactant."""
        return sorted(_bonds(self.product) - _bonds(self.reactant))

    def _assigned(self, squares: Array) -> Array:
        """Place of each hydrogen of the reactant among those of the product, (H,)."""
        return np.asarray(linear_sum_assignment(self.penalty + squares)[1])


def read_reaction(smiles: str) -> MappedReaction:
    """Read a mapped reaction SMILES, ``REACTANTS>>PRODUCTS``.

    Every heavy atom has a map number, on both sides; hydrogens may have one.
    Electrons that the SMILES leaves unpaired, as in carbenes, are taken for pairs.

    Raises:
        DataError: Not such a SMILES, other atoms on the two sides, or ions.
    """
    sides = smiles.strip().split(">>")
    if len(sides) != 2 or not all(sides):
        raise DataError(
            f"{shown(smiles)} is no reaction; write REACTANTS>>PRODUCTS, without agents"
        )
    parsed = [_parsed(side) for side in sides]
    _check_same_atoms(*map(_maps, parsed))
    reactant, product = map(_ordered, parsed)
    numbers = [_numbers(end) for end in (reactant, product)]
    if numbers[0] != numbers[1]:
        one, other = (count.count(1) for count in numbers)
        raise DataError(
            f"{smiles}: {one} hydrogens before and {other} after; balance the reaction"
        )
    hydrogens = np.flatnonzero(np.array(numbers[0]) == 1)
    mapped = hydrogens < len(_maps(parsed[0]))
    stay = linear_sum_assignment(_penalty(reactant, product, hydrogens, mapped))[1]
    order = np.arange(len(numbers[0]))
    order[hydrogens] = hydrogens[stay]
    product = Chem.RenumberAtoms(product, order.tolist())
    penalty = _penalty(reactant, product, hydrogens, mapped)
    return MappedReaction(smiles, reactant, product, hydrogens, penalty)


def _parsed(side: str) -> Chem.Mol:
    """Molecule of one side, with all hydrogens."""
    parameters: Any = Chem.SmilesParserParams()
    parameters.removeHs = False
    molecule = parse_smiles(side, parameters)
    if molecule is None:
        raise DataError(f"{shown(side)} is not a valid SMILES (syntax, valence)")
    if Chem.GetFormalCharge(molecule):
        raise DataError(f"{side}: potentials here are for neutral reactions, not ions")
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() != 1 and not atom.GetAtomMapNum():
            raise DataError(
                f"{side}: atom {atom.GetIdx()} ({atom.GetSymbol()}) has no map number; "
                "map all heavy atoms, as in [CH3:1][OH:2]"
            )
        atom.SetNumRadicalElectrons(0)
    molecule = Chem.AddHs(molecule)
    for atom in molecule.GetAtoms():
        neighbours = [n.GetAtomicNum() for n in atom.GetNeighbors()]
        if atom.GetAtomicNum() == 1 and not atom.GetAtomMapNum() and neighbours == [1]:
            raise DataError(f"{side}: map the hydrogens of H2, as in [H:1][H:2]")
    return molecule


def _maps(molecule: Chem.Mol) -> dict[int, str]:
    """Element of each map number."""
    mapped = [atom for atom in molecule.GetAtoms() if atom.GetAtomMapNum()]
    counts = Counter(atom.GetAtomMapNum() for atom in mapped)
    twice = [number for number, count in counts.items() if count > 1]
    if twice:
        raise DataError(
            f"{Chem.MolToSmiles(molecule)}: two atoms are number {twice[0]}"
        )
    return {atom.GetAtomMapNum(): atom.GetSymbol() for atom in mapped}


def _check_same_atoms(reactant: dict[int, str], product: dict[int, str]) -> None:
    for number in sorted(reactant.keys() | product.keys()):
        one, other = reactant.get(number), product.get(number)
        if one != other:
            raise DataError(
                f"atom {number} is {one or 'nothing'} before and {other or 'nothing'} "
                "after; map the same atoms on both sides"
            )


def _ordered(molecule: Chem.Mol) -> Chem.Mol:
    """Molecule in the order of its map numbers, without them; the rest comes last."""
    numbers = [atom.GetAtomMapNum() for atom in molecule.GetAtoms()]
    last = max(numbers) + 1
    order = sorted(range(len(numbers)), key=lambda k: numbers[k] or last)
    ordered = Chem.RenumberAtoms(molecule, order)
    for atom in ordered.GetAtoms():
        atom.SetAtomMapNum(0)
    return ordered


def _numbers(molecule: Chem.Mol) -> list[int]:
    return [atom.GetAtomicNum() for atom in molecule.GetAtoms()]


def _owners(molecule: Chem.Mol, hydrogens: Array) -> Array:
    """Atoms that hydrogens sit on, a lone one on itself, int64 (H,)."""
    atoms = map(molecule.GetAtomWithIdx, hydrogens.tolist())
    return np.array(
        [next((n.GetIdx() for n in a.GetNeighbors()), a.GetIdx()) for a in atoms],
        dtype=np.int64,
    )


def _penalty(
    reactant: Chem.Mol, product: Chem.Mol, hydrogens: Array, mapped: Array
) -> Array:
    """Penalty of `MappedReaction`, Å^2; ``mapped`` hydrogens have map numbers, (H,)."""
    before, after = (_owners(end, hydrogens) for end in (reactant, product))
    differ = np.not_equal.outer
    moves = np.where(differ(before, after), _MOVES, 0.0)
    another = differ(before, before) | differ(after, after) | differ(mapped, mapped)
    either = np.logical_or.outer(mapped, mapped)
    penalty: Array = np.where(either, np.where(another, _IS_ANOTHER, 0.0), moves)
    return penalty


def _bonds(molecule: Chem.Mol) -> set[tuple[int, int]]:
    ends = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]
    return {(min(pair), max(pair)) for pair in ends}


def unmapped(smiles: str) -> str:
    """Canonical SMILES without atom maps and hydrogens; other text stays as it is."""
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return smiles
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
    return Chem.MolToSmiles(Chem.RemoveHs(molecule))
