"""Potentials as forces of OpenMM: its integrators, barostats and mixed systems.

Needs OpenMM 8.4: ``pip install 'ase-physml[openmm]'``. Of a solute in a force field's
water, say, the force may act on the solute alone; what binds the two is then the force
field's.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import openmm
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from openmm import unit

from ase_physml.data.frame import Array

# Of OpenMM's units: nm and kJ/mol.
_NM = units.nm
_KJ_PER_MOL = units.kJ / units.mol


def make_force(
    atoms: Atoms, calculator: Calculator, particles: Sequence[int] | None = None
) -> openmm.PythonForce:
    """A potential as a force, to be added to an OpenMM system.

    Args:
        atoms: The structure, for its elements and for the directions in which it
            repeats; OpenMM moves its own.
        calculator: PhysML's, or any of ASE's; what it refuses stops the simulation.
        particles: Particles of the system that are these atoms, in their order; all of
            them by default.
    """
    force = openmm.PythonForce(_Computation(atoms, calculator))
    force.setUsesPeriodicBoundaryConditions(bool(atoms.pbc.any()))
    if particles is not None:
        force.setParticles(list(particles))
    return force


def make_system(atoms: Atoms, calculator: Calculator) -> openmm.System:
    """An OpenMM system of a structure, with no other force than the potential."""
    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    if atoms.pbc.any():
        vectors = _reduced(atoms.cell.standard_form()[0].array / _NM)
        system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in vectors))
    system.addForce(make_force(atoms, calculator))
    return system


def positions_of(atoms: Atoms) -> Array:
    """Positions of a structure as OpenMM's contexts take them, (N, 3) nm.

    A cell is turned so that its first vector is along x and its second in the plane of
    x and y, as OpenMM wants it.
    """
    turned: Array = atoms.positions
    if atoms.pbc.any():
        turned = atoms.positions @ atoms.cell.standard_form()[1].T
    return turned / _NM


def _reduced(cell: Array) -> Array:
    """The same lattice by vectors (3, 3) that lean by half a cell at most."""
    a, b, c = cell.copy()
    c -= b * np.round(c[1] / b[1])
    c -= a * np.round(c[0] / a[0])
    b -= a * np.round(b[0] / a[0])
    # OpenMM bears no rounding beyond the half.
    b[0], c[0] = np.clip([b[0], c[0]], -a[0] / 2, a[0] / 2)
    c[1] = np.clip(c[1], -b[1] / 2, b[1] / 2)
    return np.stack([a, b, c])


class _Computation:
    """Callback of OpenMM; a class, so that systems can be saved with it."""

    def __init__(self, atoms: Atoms, calculator: Calculator) -> None:
        self.atoms = Atoms(
            atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc
        )
        self.atoms.calc = calculator

    def __call__(self, state: Any) -> tuple[float, Array]:
        """Energy in kJ/mol and forces (N, 3) in kJ/mol/nm."""
        if self.atoms.pbc.any():
            vectors = state.getPeriodicBoxVectors(asNumpy=True)
            self.atoms.cell[:] = _NM * vectors.value_in_unit(unit.nanometer)
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        self.atoms.positions = _NM * np.asarray(positions)
        energy = self.atoms.get_potential_energy() / _KJ_PER_MOL
        return float(energy), self.atoms.get_forces() * _NM / _KJ_PER_MOL
