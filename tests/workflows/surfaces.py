"""Analytic surfaces for tests of vibrations and saddles."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

Array = np.ndarray[Any, Any]


class Surface(Calculator):
    """A surface that computes batches, and counts them."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "dipole"]

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        super().calculate(atoms, list(properties), list(system_changes))
        (self.results,) = self.calculate_many([self.atoms])

    def calculate_many(self, structures: Sequence[Atoms]) -> list[dict[str, Any]]:
        self.batches.append(len(structures))
        return [self.one(atoms) for atoms in structures]

    def one(self, atoms: Atoms) -> dict[str, Any]:
        raise NotImplementedError


class Quadratic(Surface):
    """Energy 1/2 x H x about given positions; charges +1, -1, +1 ... for a dipole."""

    def __init__(self, rest: Array, matrix: Array) -> None:
        super().__init__()
        self.rest, self.matrix = rest, matrix

    def one(self, atoms: Atoms) -> dict[str, Any]:
        x = (atoms.positions - self.rest).ravel()
        charges = 1.0 - 2.0 * (np.arange(len(atoms)) % 2)
        return {
            "energy": float(0.5 * x @ self.matrix @ x),
            "forces": -(self.matrix @ x).reshape(-1, 3),
            "dipole": charges @ atoms.positions,
        }


class Bonds(Surface):
    """Springs of one stiffness between given pairs of atoms, at given lengths."""

    def __init__(
        self, pairs: Sequence[tuple[int, int, float]], stiffness: float
    ) -> None:
        super().__init__()
        self.pairs, self.stiffness = pairs, stiffness

    def one(self, atoms: Atoms) -> dict[str, Any]:
        energy, forces = 0.0, np.zeros((len(atoms), 3))
        for i, j, length in self.pairs:
            apart = atoms.positions[j] - atoms.positions[i]
            distance = np.linalg.norm(apart)
            energy += 0.5 * self.stiffness * (distance - length) ** 2
            pull = self.stiffness * (distance - length) * apart / distance
            forces[i] += pull
            forces[j] -= pull
        return {"energy": float(energy), "forces": forces, "dipole": np.zeros(3)}


class Jump(Surface):
    """An H between two atoms on a line: a double well in the difference of distances.

    Energy ``height * ((d / well)^2 - 1)^2`` of the difference d of the two distances,
    and springs on everything else; the saddle is in the middle, ``height`` up.
    """

    def __init__(
        self, height: float = 0.5, well: float = 0.5, tilt: float = 0.0
    ) -> None:
        super().__init__()
        self.height, self.well, self.tilt = height, well, tilt

    def one(self, atoms: Atoms) -> dict[str, Any]:
        first, last = (atoms.positions[1] - atoms.positions[k] for k in (0, 2))
        a, b = np.linalg.norm(first), np.linalg.norm(last)
        d, u = a - b, (a - b) / self.well
        slope = self.height * 4.0 * u * (u * u - 1.0) / self.well + self.tilt
        rest = a + b - 2.6
        energy = self.height * (u * u - 1.0) ** 2 + self.tilt * d + 10.0 * rest**2
        by_a, by_b = slope + 20.0 * rest, -slope + 20.0 * rest
        forces = np.zeros((3, 3))
        forces[0], forces[2] = by_a * first / a, by_b * last / b
        forces[1] = -forces[0] - forces[2]
        return {"energy": float(energy), "forces": forces}
