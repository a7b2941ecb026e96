"""The bonds that a calculator holds on to, and the structures that have them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from rdkit import Chem

from ase_physml.calculators.checks import check_finite, check_open
from ase_physml.calculators.restraints import Array, Indices, Restraints
from ase_physml.charges import is_neutral, is_singlet, multiplicity, total_charge
from ase_physml.chem.bonds import FORMED, summed_radii
from ase_physml.chem.canonical import canonical_smiles
from ase_physml.chem.embed import distance_bounds
from ase_physml.errors import DataError, StructureError

# Times its proper length, which is known here, from which on a bond is broken.
_BROKEN = 1.6
# Atoms without a bond have not formed one by `FORMED` where they are about as near in
# the conformer: times that distance.
_NEAR = 0.8


@dataclass(frozen=True)
class Topology:
    """A molecule with all hydrogens, its atoms in the order of the structures.

    Attributes:
        molecule: RDKit's.
        name: Name in messages.
    """

    molecule: Chem.Mol
    name: str

    @classmethod
    def of(cls, smiles: str | None, mol: Chem.Mol | None) -> Topology:
        """From one of both; missing hydrogens come after the other atoms.

        Raises:
            DataError: None or both are given, or it is not a molecule.
        """
        given = smiles if mol is None else mol
        if given is None or (smiles is not None and mol is not None):
            raise DataError("give the bonds once, as smiles=... or as mol=...")
        name, _, _ = canonical_smiles(given)
        if isinstance(given, str):
            return cls(Chem.AddHs(Chem.MolFromSmiles(given)), given)
        return cls(Chem.AddHs(given), name)

    def renumbered(self, order: Indices) -> Topology:
        """The same molecule, its atom k in place ``order[k]``."""
        renumbered = Chem.RenumberAtoms(self.molecule, np.argsort(order).tolist())
        return Topology(renumbered, self.name)

    @cached_property
    def numbers(self) -> Indices:
        """Atomic numbers (N,)."""
        return np.array([a.GetAtomicNum() for a in self.molecule.GetAtoms()])

    @cached_property
    def heavy(self) -> Indices:
        """Atoms that are not hydrogens, ascending (n,)."""
        return np.flatnonzero(self.numbers != 1)

    @cached_property
    def hops(self) -> Array:
        """Bonds between each two atoms (N, N), a large number across fragments."""
        hops: Array = Chem.GetDistanceMatrix(self.molecule)
        return hops

    def fragments(self) -> Indices:
        """Fragment of each atom (N,)."""
        found = np.zeros(len(self.numbers), dtype=np.int64)
        for k, atoms in enumerate(Chem.GetMolFrags(self.molecule)):
            found[list(atoms)] = k
        return found

    def restraints(self, conformation: Array, hops: int | None) -> Restraints:
        """Predicted distances between heavy atoms, RDKit's bounds for everything else.

        Args:
            conformation: Positions of the heavy atoms, Å (n, 3).
            hops: Predicted distances count within so many bonds; None for all that
                are within one fragment.

        Raises:
            DataError: RDKit has no bounds for this molecule.
        """
        lower, upper = self._bounds()
        distances = distances_of(conformation)
        # What the model says is possible is not too near.
        rows = np.ix_(self.heavy, self.heavy)
        lower[rows] = np.minimum(lower[rows], distances)
        near = self.fragments()[:, None] == self.fragments()
        if hops is not None:
            near &= self.hops <= hops
        known = near[rows]
        lower[rows] = np.where(known, distances, lower[rows])
        upper[rows] = np.where(known, distances, np.inf)
        pairs = np.stack(np.triu_indices(len(self.numbers), 1))
        return Restraints(pairs, lower[tuple(pairs)], upper[tuple(pairs)])

    def atoms_of(self, atoms: Atoms) -> Indices:
        """Atoms of the graph that a structure has: all, or all but the hydrogens.

        Raises:
            StructureError: Other atoms, another order, a periodic cell, or a position
                that is not finite.
        """
        found = np.arange(len(self.numbers))
        if not np.array_equal(atoms.numbers, self.numbers):
            found = self.heavy
            if not np.array_equal(atoms.numbers, self.numbers[found]):
                self._refuse(atoms)
        check_finite(atoms)
        check_open(atoms, f"the bond graph of {self.name}")
        return found

    def check_electrons(self, atoms: Atoms) -> None:
        """Refuse a structure that states another charge or multiplicity than the graph.

        Raises:
            StructureError: Naming both, and where the structure states it.
        """
        own = Chem.GetFormalCharge(self.molecule)
        charge = total_charge(atoms)
        if charge is not None and not is_neutral(charge.value - own):
            raise StructureError(
                f"the total charge is {charge.value:+g} (from {charge.source}), but "
                f"that of {self.name} is {own:+d}; give the SMILES of this molecule"
            )
        unpaired = sum(a.GetNumRadicalElectrons() for a in self.molecule.GetAtoms())
        spin = multiplicity(atoms)
        # Electrons may pair: two of them are a triplet or a singlet.
        possible = range(unpaired + 1, 0, -2)
        if spin is not None and not any(
            is_singlet(spin.value - s + 1) for s in possible
        ):
            raise StructureError(
                f"the multiplicity is {spin.value:g} (from {spin.source}), but "
                f"{self.name} has {unpaired} unpaired electrons; give the SMILES of "
                "this molecule"
            )

    def check_bonds(
        self, atoms: Atoms, restraints: Restraints, chosen: Indices
    ) -> None:
        """Refuse broken and formed bonds.

        Args:
            atoms: Structure.
            restraints: Restraints of its pairs.
            chosen: Atoms, from `atoms_of`.

        Raises:
            StructureError: Naming the bond.
        """
        i, j = restraints.pairs
        lengths = np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1)
        bonded = self.hops[chosen[i], chosen[j]] == 1
        broken = bonded & (lengths > _BROKEN * restraints.upper)
        formed = FORMED * summed_radii(atoms.numbers, restraints.pairs)
        least = np.minimum(formed, _NEAR * restraints.lower)
        for wrong, what in (
            (broken, "broken"),
            (~bonded & (lengths < least), "formed"),
        ):
            if wrong.any():
                k = int(np.flatnonzero(wrong)[0])
                ends = " and ".join(
                    f"{a} ({atoms.symbols[a]})" for a in (int(i[k]), int(j[k]))
                )
                raise StructureError(
                    f"the bond between atoms {ends} is {what}: they are "
                    f"{lengths[k]:.2f} Å apart; this potential keeps the bonds of "
                    f"{self.name}, pass check_bonds=False to have any start pulled "
                    "into them"
                )

    def _bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of distance geometry, symmetric (N, N)."""
        try:
            bounds = distance_bounds(self.molecule)
        except (RuntimeError, ValueError) as error:
            raise DataError(f"{self.name}: RDKit finds no bounds ({error})") from error
        lower, upper = np.tril(bounds), np.triu(bounds)
        return lower + lower.T, upper + upper.T

    def _refuse(self, atoms: Atoms) -> None:
        have, want = (
            np.bincount(z, minlength=len(chemical_symbols))
            for z in (atoms.numbers, self.numbers)
        )
        if np.array_equal(have, want):
            raise StructureError(
                f"the structure has the atoms of {self.name} in another order than its "
                f"graph, {self._symbols()}; sort them, or pass like=atoms to the "
                "calculator to have the graph follow a structure"
            )
        raise StructureError(
            f"the structure is {atoms.get_chemical_formula() or 'empty'}, but "
            f"{self.name} is {Atoms(numbers=self.numbers).get_chemical_formula()}; "
            "give the SMILES of this molecule"
        )

    def _symbols(self) -> str:
        symbols = [chemical_symbols[z] for z in self.numbers]
        return " ".join(symbols[:20]) + (" ..." if len(symbols) > 20 else "")


def distances_of(positions: Array) -> Array:
    """Between each two atoms, Å (n, n)."""
    vectors = positions[:, None] - positions
    distances: Array = np.linalg.norm(vectors, axis=-1)
    return distances
