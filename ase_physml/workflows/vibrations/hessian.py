"""Second derivatives of the energy, of many structures in batches.

By central differences of forces: all displaced structures of all molecules are one
batch. Energies, forces and second derivatives are of one geometry, and stay together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from ase_physml.calculators.batch_evaluator import BatchEvaluator
from ase_physml.calculators.many import Results
from ase_physml.calculators.names import CalculatorLike
from ase_physml.calculators.physml import PhysMLCalculator
from ase_physml.data.frame import Array
from ase_physml.errors import StructureError
from ase_physml.workflows.alignment import n_rotations
from ase_physml.workflows.relax import check_is_atoms
from ase_physml.workflows.together import Task, run_together

# What single points keep, and what a committee adds.
_KEPT = ("energy", "free_energy", "forces", "dipole", "charges")


@dataclass(frozen=True)
class Hessian:
    """Second derivatives of the energy at one geometry.

    Attributes:
        atoms: Structure, with its energy and forces.
        matrix: Second derivatives by the positions of the free atoms, (3n, 3n),
            eV/Å^2, symmetric.
        free: Indices of the atoms that no constraint holds, (n,).
        asymmetry: Largest difference that was left between equal elements, eV/Å^2:
            what numbers of the potential allow.
        dipoles: Derivatives of the dipole by the same positions, (3n, 3), e; None if
            the calculator has none.
        results: All results of the calculator at this geometry.
    """

    atoms: Atoms
    matrix: Array
    free: npt.NDArray[np.int64]
    asymmetry: float
    dipoles: Array | None
    results: Results

    @property
    def energy(self) -> float:
        """Energy, eV."""
        return float(self.results["energy"])

    @property
    def forces(self) -> Array:
        """Forces on the free atoms, (n, 3), eV/Å."""
        forces: Array = self.results["forces"][self.free]
        return forces

    @property
    def largest_force(self) -> float:
        """Largest force on a free atom, eV/Å."""
        return float(np.linalg.norm(self.forces, axis=1).max())

    @property
    def masses(self) -> Array:
        """Masses of the coordinates, (3n,), amu."""
        return np.repeat(self.atoms.get_masses()[self.free], 3)


def hessians(
    structures: Sequence[Atoms] | Atoms,
    calculator: CalculatorLike,
    *,
    step: float = 0.005,
    batch_size: int = 256,
) -> list[Hessian | Exception]:
    """Second derivatives of structures, all displaced ones in batches.

    Args:
        structures: Structures of any sizes; they stay as they are. Atoms of a FixAtoms
            are held: the matrix is that of the others.
        calculator: Calculator or its name, see `as_calculator`; batches are computed as
            by `relax_many`.
        step: Displacement to both sides, Å.
        batch_size: Structures at a time; fewer if memory runs out.

    Returns:
        For each structure its second derivatives, or why there are none.

    Raises:
        PotentialError: No calculator, or one without forces.
        StructureError: A step that is none.
    """
    if isinstance(structures, Atoms):
        structures = [structures]
    if not step > 0.0:
        raise StructureError(f"the step must be above 0 Å, got {step}")
    evaluate = BatchEvaluator(calculator, batch_size)
    advise(evaluate)
    return run_together([hessian_task(one, step) for one in structures], evaluate)


def advise(evaluate: BatchEvaluator) -> None:
    """Warn, once, where a potential is not for second derivatives."""
    if isinstance(evaluate.calculator, PhysMLCalculator):
        evaluate.calculator.advice.warn_of_vibrations(asked=True)


def hessian_task(atoms: Atoms, step: float = 0.005) -> Task[Hessian]:
    """Task of `hessians` of one structure.

    Raises:
        StructureError: No structure, or constraints that are not those of single atoms.
    """
    check_is_atoms(atoms, "what is to vibrate")
    free = free_atoms(atoms)
    bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    bare.info = dict(atoms.info)
    bare.set_masses(atoms.get_masses())
    for name in ("initial_charges", "initial_magmoms"):
        if atoms.has(name):
            bare.set_array(name, atoms.get_array(name))
    displaced = [bare, *_displaced(bare, free, step)]
    here, *others = yield displaced
    forces = np.array([one["forces"][free].ravel() for one in others])
    if not np.isfinite(forces).all():
        raise StructureError("forces of displaced structures are not finite")
    matrix = (forces[1::2] - forces[::2]) / (2.0 * step)
    kept = atoms.copy()
    known = {k: v for k, v in here.items() if k in _KEPT}
    kept.calc = SinglePointCalculator(kept, **known)
    return Hessian(
        kept,
        0.5 * (matrix + matrix.T),
        free,
        float(np.abs(matrix - matrix.T).max(initial=0.0)),
        _dipole_derivatives(others, step),
        here,
    )


def free_atoms(atoms: Atoms) -> npt.NDArray[np.int64]:
    """Indices of the atoms that no FixAtoms holds.

    Raises:
        StructureError: Other constraints, named, or no atom left.
    """
    other = [type(one).__name__ for one in atoms.constraints]
    other = [name for name in other if name != "FixAtoms"]
    if other:
        raise StructureError(
            f"second derivatives under {', '.join(dict.fromkeys(other))} are not "
            "defined here; hold whole atoms by FixAtoms, or take the constraint off"
        )
    held = [one.index for one in atoms.constraints if isinstance(one, FixAtoms)]
    indices = np.concatenate([np.empty(0, int), *held]).astype(int)
    free = np.setdiff1d(np.arange(len(atoms)), indices)
    if not len(free):
        raise StructureError("every atom of the structure is held")
    return free


def rigid_motions(atoms: Atoms, free: npt.NDArray[np.int64], masses: Array) -> Array:
    """Orthonormal motions that change no energy, (3n, k), in weighted coordinates.

    Translations and rotations of a molecule, translations of a cell, none of what is
    held.

    Args:
        atoms: Structure.
        free: Indices of its free atoms, (n,).
        masses: Weights of the coordinates, (3n,): masses in amu, or ones.
    """
    if len(free) < len(atoms):
        return np.zeros((3 * len(free), 0))
    root = np.sqrt(masses).reshape(-1, 3)
    moves = [np.tile(axis, (len(atoms), 1)) for axis in np.eye(3)]
    if not atoms.pbc.any():
        weights = root[:, :1] ** 2
        centre = (weights * atoms.positions).sum(axis=0) / weights.sum()
        _, axes = atoms.get_moments_of_inertia(vectors=True)
        turning = axes[3 - n_rotations(atoms) :]
        moves += [np.cross(axis, atoms.positions - centre) for axis in turning]
    columns = np.stack([(root * move).ravel() for move in moves], axis=1)
    return np.linalg.qr(columns)[0]


def inner_basis(atoms: Atoms, free: npt.NDArray[np.int64], masses: Array) -> Array:
    """Orthonormal basis, (3n, m), of all motions but the rigid ones.

    Args:
        atoms: Structure.
        free: Indices of its free atoms, (n,).
        masses: Weights of the coordinates, (3n,).
    """
    rigid = rigid_motions(atoms, free, masses)
    if not rigid.shape[1]:
        return np.eye(len(rigid))
    full, _ = np.linalg.qr(rigid, mode="complete")
    rest: Array = full[:, rigid.shape[1] :]
    return rest


def _displaced(atoms: Atoms, free: npt.NDArray[np.int64], step: float) -> list[Atoms]:
    """Copies, each with one coordinate of a free atom a step back, and forth."""
    found = []
    for index in free:
        for axis in range(3):
            for sign in (1.0, -1.0):
                one = atoms.copy()
                one.positions[index, axis] += sign * step
                found.append(one)
    return found


def _dipole_derivatives(others: Sequence[Results], step: float) -> Array | None:
    if any(one.get("dipole") is None for one in others):
        return None
    dipoles = np.array([one["dipole"] for one in others])
    slopes: Array = (dipoles[::2] - dipoles[1::2]) / (2.0 * step)
    return slopes
