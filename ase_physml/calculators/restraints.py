"""Springs that hold pairs of atoms within bounds: a potential of distances alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# Å. Lengths are sqrt(d^2 + this^2), so that atoms in one place have a force, not NaN.
_SOFT = 0.01


@dataclass(frozen=True)
class Restraints:
    """P pairs of atoms and the distances that they may have.

    ``E = K/2 sum_ij v_ij^2`` with ``v_ij`` the part of the distance that is above the
    upper or below the lower bound; where both are equal, a spring. Forces are
    continuous everywhere. Distances above are ``sqrt(d^2 + (0.01 Å)^2)``, bounds too,
    which moves no minimum and makes E smooth where two atoms coincide.

    Attributes:
        pairs: Atoms i and j of each pair, (2, P).
        lower: Å, (P,).
        upper: Å, (P,).
    """

    pairs: Indices
    lower: Array
    upper: Array

    def energy_and_forces(
        self, positions: Array, stiffness: float
    ) -> tuple[float, Array]:
        """Energy and its exact gradient.

        Args:
            positions: Å, (N, 3).
            stiffness: K, eV/Å^2.

        Returns:
            Energy, eV, and forces (N, 3), eV/Å.
        """
        i, j = self.pairs
        vectors = positions[i] - positions[j]
        lengths = np.hypot(np.linalg.norm(vectors, axis=1), _SOFT)
        violation = np.maximum(lengths - np.hypot(self.upper, _SOFT), 0.0)
        violation += np.minimum(lengths - np.hypot(self.lower, _SOFT), 0.0)
        pull = (stiffness * violation / lengths)[:, None] * vectors
        forces = np.zeros_like(positions)
        np.add.at(forces, j, pull)
        np.subtract.at(forces, i, pull)
        return 0.5 * stiffness * float(violation @ violation), forces

    def among(self, atoms: Indices) -> Restraints:
        """Restraints between some of the atoms, which count from 0 in this order."""
        place = np.full(int(self.pairs.max(initial=-1)) + 1, -1)
        place[atoms[atoms < len(place)]] = np.flatnonzero(atoms < len(place))
        pairs = place[self.pairs]
        kept = (pairs >= 0).all(axis=0)
        return Restraints(pairs[:, kept], self.lower[kept], self.upper[kept])
