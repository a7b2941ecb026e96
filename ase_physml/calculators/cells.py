"""What only periodic structures have."""

from collections.abc import Sequence

from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

from ase_physml.calculators.spread import Array, Results
from ase_physml.data.conversion import has_stress


def is_periodic(atoms: Atoms) -> bool:
    """Whether it repeats along any lattice vector."""
    return bool(atoms.pbc.any())


def add_stress(
    results: Sequence[Results],
    structures: Sequence[Atoms],
    by_strain: Array,
) -> None:
    """Give each structure that has a volume its stress.

    Args:
        results: Of each structure; they gain ``stress`` in eV/Å^3, in Voigt's order
            (xx, yy, zz, yz, xz, xy) and with ASE's sign: positive where the cell would
            rather be smaller.
        structures: As many.
        by_strain: Gradients of their energies by strain, (M, 3, 3) eV.
    """
    for result, atoms, gradient in zip(results, structures, by_strain, strict=True):
        if has_stress(atoms):
            result["stress"] = full_3x3_to_voigt_6_stress(gradient / atoms.cell.volume)
