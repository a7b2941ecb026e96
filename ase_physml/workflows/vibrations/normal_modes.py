"""Vibrations of many structures: frequencies, modes and infrared intensities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms, units

from ase_physml.calculators.names import CalculatorLike
from ase_physml.data.frame import Array
from ase_physml.workflows.alignment import n_rotations
from ase_physml.workflows.vibrations.hessian import Hessian, hessians, inner_basis

Shape = Literal["monatomic", "linear", "nonlinear", "held", "periodic"]
"""Shape of what vibrates, as ASE names those of molecules: which motions are none."""

STATIONARY = 0.05
"""Force, eV/Å, above which a structure is none whose vibrations mean much."""

# Frequency of a mode in cm-1 from its curvature in eV/Å^2/amu.
_TO_CM = units._hbar * units.m / np.sqrt(units._e * units._amu) / units.invcm
# (D/Å)^2/amu to km/mol.
_TO_KM_PER_MOL = 42.2561


@dataclass(frozen=True)
class Vibrations:
    """Harmonic vibrations of a structure.

    Attributes:
        hessian: Second derivatives that they are of, with structure and energy.
        shape: Shape of the structure.
        frequencies: Frequencies, (M,), cm-1, ascending; imaginary ones are negative.
        modes: Displacements of all atoms in each mode, (M, N, 3), of norm 1.
        reduced_masses: Reduced mass of each mode, (M,), amu.
        intensities: Infrared intensities, (M,), km/mol; None without dipoles.
    """

    hessian: Hessian
    shape: Shape
    frequencies: Array
    modes: Array
    reduced_masses: Array
    intensities: Array | None

    @property
    def atoms(self) -> Atoms:
        """Structure, with its energy and forces."""
        return self.hessian.atoms

    @property
    def imaginary(self) -> Array:
        """Imaginary frequencies, as negative numbers, cm-1."""
        return self.frequencies[self.frequencies < 0.0]

    @property
    def is_stationary(self) -> bool:
        """Whether no force is above `STATIONARY`."""
        return self.hessian.largest_force < STATIONARY

    @property
    def zero_point_energy(self) -> float:
        """Half a quantum of each real mode, eV."""
        real = self.frequencies[self.frequencies > 0.0]
        return float(0.5 * units.invcm * real.sum())

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to read beside the frequencies: forces that are left, imaginary modes.

        Never silent: such modes are in no zero-point energy and no entropy.
        """
        said = []
        if not self.is_stationary:
            force = np.linalg.norm(self.hessian.forces, axis=1)
            atom = int(self.hessian.free[force.argmax()])
            said.append(
                f"not at a stationary point: the largest force is {force.max():.3f} "
                f"eV/Å, on atom {atom} ({self.atoms.symbols[atom]}); relax it with the "
                "same calculator"
            )
        wrong = self.imaginary
        if len(wrong):
            named = ", ".join(f"{-one:.0f}i" for one in wrong[:5])
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            kind = "mode" if len(wrong) == 1 else "modes"
            said.append(
                f"{len(wrong)} imaginary {kind}: {named}{more} cm-1; left out of the "
                "zero-point energy"
            )
        return tuple(said)


def vibrations_many(
    structures: Sequence[Atoms] | Atoms,
    calculator: CalculatorLike,
    *,
    step: float = 0.005,
    batch_size: int = 256,
) -> list[Vibrations | Exception]:
    """Vibrations of structures where they are, all their forces in batches.

    Structures should be relaxed, with the same calculator: see `relax_many`, and
    `Vibrations.remarks`. Rotations and translations are projected out, so that a
    molecule has 3N-6 modes, a line 3N-5, a cell 3N-3, what is held 3n of its n free
    atoms.

    Args:
        structures: Structures of any sizes; they stay as they are.
        calculator: Calculator or its name, see `hessians`.
        step: Displacement of each coordinate to both sides, Å.
        batch_size: Structures at a time.

    Returns:
        For each structure its vibrations, or why there are none.

    Raises:
        PotentialError: No calculator, or one without forces.
        StructureError: A step that is none.
    """
    found = hessians(structures, calculator, step=step, batch_size=batch_size)
    return [one if isinstance(one, Exception) else vibrations_of(one) for one in found]


def vibrations_of(hessian: Hessian) -> Vibrations:
    """Vibrations that second derivatives give."""
    atoms, free, masses = hessian.atoms, hessian.free, hessian.masses
    root = np.sqrt(masses)
    basis = inner_basis(atoms, free, masses)
    weighted = hessian.matrix / np.outer(root, root)
    curvatures, vectors = np.linalg.eigh(basis.T @ weighted @ basis)
    # Of Cartesian displacements, whose squared norm is the inverse reduced mass.
    cartesian = (basis @ vectors).T / root
    squares = (cartesian**2).sum(axis=1)
    modes = np.zeros((len(curvatures), len(atoms), 3))
    modes[:, free] = (cartesian / np.sqrt(squares)[:, None]).reshape(-1, len(free), 3)
    frequencies = np.sign(curvatures) * np.sqrt(np.abs(curvatures)) * _TO_CM
    intensities = None
    if hessian.dipoles is not None:
        slopes = cartesian @ (hessian.dipoles / units.Debye)
        intensities = _TO_KM_PER_MOL * (slopes**2).sum(axis=1)
    return Vibrations(
        hessian, shape_of(hessian), frequencies, modes, 1.0 / squares, intensities
    )


def curvature(frequency: float) -> float:
    """Curvature, eV/Å^2/amu, that a frequency in cm-1 is of."""
    return float((frequency / _TO_CM) ** 2)


def shape_of(hessian: Hessian) -> Shape:
    """Shape of the structure of second derivatives."""
    atoms = hessian.atoms
    if len(hessian.free) < len(atoms):
        return "held"
    if atoms.pbc.any():
        return "periodic"
    shapes: dict[int, Shape] = {0: "monatomic", 2: "linear", 3: "nonlinear"}
    return shapes[n_rotations(atoms)]
