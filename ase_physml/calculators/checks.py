"""Checks of structures: refusals that name the atom and what to do."""

import warnings
from collections.abc import Sequence
from functools import cache

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from scipy.spatial import cKDTree

from ase_physml.charges import (
    Stated,
    is_neutral,
    is_singlet,
    multiplicity,
    total_charge,
)
from ase_physml.errors import StructureError
from ase_physml.graph import PeriodicEdgeList
from ase_physml.models.energy_model import EnergyConfig

# Closer than this, two atoms are one by mistake: the shortest bond, H2, is 0.74 Å.
COINCIDENT = 1e-2

# Of the volume of a box with edges as long; below it the cell is flat.
_FLAT = 1e-6


def check_structure(
    atoms: Atoms, elements: Sequence[int], name: str, distances: bool = True
) -> None:
    """Refuse what no potential can treat.

    Args:
        atoms: Structure.
        elements: Atomic numbers that the potential knows.
        name: Of the potential, for messages.
        distances: Look for atoms of a molecule in one place, which an evaluation that
            lists all pairs finds by itself.

    Raises:
        StructureError: No atoms, unknown elements, positions that are not finite, a
            periodic cell without extent, or two atoms of a molecule in one place (of a
            cell, `check_apart` says so).
    """
    if len(atoms) == 0:
        raise StructureError("the structure has no atoms")
    _check_elements(atoms, elements, name)
    check_finite(atoms)
    if atoms.pbc.any():
        _check_cell(atoms)
    elif distances:
        check_distances(atoms)


def check_finite(atoms: Atoms) -> None:
    """Refuse positions that are NaN or infinite.

    Raises:
        StructureError: Naming the atom.
    """
    if not np.isfinite(atoms.positions).all():
        wrong = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
        raise StructureError(
            f"the position of atom {_label(atoms, wrong[0])} is "
            f"{atoms.positions[wrong[0]]}; an earlier step went wrong (too large a "
            "time step, or atoms on top of each other)"
        )


def check_open(atoms: Atoms, name: str) -> None:
    """Refuse periodic cells.

    Raises:
        StructureError: Naming what treats molecules only, and the axes.
    """
    if atoms.pbc.any():
        axes = ", ".join("abc"[axis] for axis in np.flatnonzero(atoms.pbc))
        raise StructureError(
            f"{name} treats molecules, but the structure is periodic along {axes}; "
            "set atoms.pbc = False if it is a molecule in a box"
        )


def _check_elements(atoms: Atoms, elements: Sequence[int], name: str) -> None:
    if set(elements).issuperset(atoms.numbers.tolist()):
        return
    unknown = np.flatnonzero(~np.isin(atoms.numbers, elements))
    if len(unknown):
        # One atom of each element, so that none goes unnamed.
        first = unknown[np.unique(atoms.numbers[unknown], return_index=True)[1]]
        listed = ", ".join(_label(atoms, i) for i in np.sort(first))
        others = len(unknown) - len(first)
        more = f" and {others} more" if others else ""
        known = ", ".join(chemical_symbols[z] for z in elements)
        raise StructureError(
            f"{name} knows {known}, not the element of atom {listed}{more}; "
            f"{_known_to(atoms)}"
        )


def _known_to(atoms: Atoms) -> str:
    """What to do about elements that a potential does not know."""
    # It looks into models of molecules as well, which take long to import.
    from ase_physml.store.catalogue import potentials_for

    others = potentials_for(set(atoms.numbers.tolist()))
    if not others:
        return "use a potential that was trained with it, or fine-tune one"
    names = ", ".join(f"{one.name} ({one.purpose})" for one in others)
    return f"shipped and trained with all of its elements: {names}"


def check_distances(atoms: Atoms) -> None:
    """Refuse molecules with two atoms in one place.

    Raises:
        StructureError: Naming the atoms.
    """
    if len(atoms) < 2:
        return
    pairs = cKDTree(atoms.positions).query_pairs(COINCIDENT, output_type="ndarray")
    if len(pairs):
        i, j = pairs[0]
        distance = float(np.linalg.norm(atoms.positions[i] - atoms.positions[j]))
        raise StructureError(
            f"atoms {_label(atoms, i)} and {_label(atoms, j)} coincide ({distance:.1e} "
            "Å apart); remove one of them or separate them"
        )


def _check_cell(atoms: Atoms) -> None:
    vectors = atoms.cell.array
    if not np.isfinite(vectors).all():
        raise StructureError(
            f"the cell is {vectors.tolist()}; an earlier step went wrong (too large a "
            "time step or pressure coupling)"
        )
    axes = np.flatnonzero(atoms.pbc)
    names = ", ".join("abc"[axis] for axis in axes)
    remedy = "set atoms.cell, or atoms.pbc = False if it is a molecule"
    lengths = np.linalg.norm(vectors[axes], axis=1)
    for axis in axes[lengths == 0.0]:
        raise StructureError(
            f"the structure is periodic along {names}, but cell vector "
            f"{'abc'[axis]} is zero; {remedy}"
        )
    directions = vectors[axes] / lengths[:, None]
    if np.linalg.det(directions @ directions.T) < _FLAT**2:
        raise StructureError(
            f"the structure is periodic along {names}, but these cell vectors are "
            f"linearly dependent (zero volume); {remedy}"
        )


def check_apart(graph: PeriodicEdgeList, structures: Sequence[Atoms]) -> None:
    """Like `check_distances`, across the faces of cells, from the pairs of a batch.

    Raises:
        StructureError: Naming the atoms of the first structure.
    """
    near = graph.pair_vectors().square().sum(-1) < COINCIDENT**2
    if near.any():
        pair = graph.pairs[:, near][:, 0]
        structure = int(graph.molecule[pair[0]])
        i, j = (pair - int((graph.molecule < structure).sum())).tolist()
        atoms = structures[structure]
        raise StructureError(
            f"atoms {_label(atoms, i)} and {_label(atoms, j)} coincide, or images of "
            "them in the periodic cell do; remove one of them or correct the cell"
        )


def check_whole(config: EnergyConfig, apart: tuple[int, int], name: str) -> None:
    """Refuse separate parts for a model whose energies of them do not add up.

    Args:
        config: Of the model.
        apart: An atom of one part and one of another.
        name: Of the potential, for messages.

    Raises:
        StructureError: It reads all atoms at once.
    """
    if config.reads_whole:
        i, j = apart
        raise StructureError(
            f"atoms {i} and {j} are in separate parts of the structure, and {name} "
            "reads all atoms through its [CLS] token: energies of parts would not add "
            "up; compute each on its own, or use a potential without it (cls='none')"
        )


def check_extensive(config: EnergyConfig, name: str) -> None:
    """Refuse potentials whose energy of a crystal depends on the choice of its cell.

    Args:
        config: Architecture of the potential.
        name: Name of the potential, for messages.

    Raises:
        StructureError: Naming what does not add up over cells.
    """
    if config.not_extensive:
        raise StructureError(f"{name} {config.not_extensive}")


def check_lattice(config: EnergyConfig, atoms: Atoms, name: str) -> None:
    """Refuse wires and slabs of charges: Ewald's sum is over three directions.

    Raises:
        StructureError: Naming the way out.
    """
    if config.has_charges and not atoms.pbc.all():
        raise StructureError(
            f"{name} sums charges over crystals that are periodic along all three "
            f"directions, not pbc={atoms.pbc.tolist()}; add vacuum along the others "
            "and set atoms.pbc = True"
        )


@cache
def warn_of_cells(name: str) -> None:
    """Say once that a potential knows nothing of crystals.

    A warning and not a refusal: ASE's calculators compute what they are given, and a
    molecule in a periodic box, a liquid or a molecular crystal is a fair question to a
    potential of molecules.
    """
    warnings.warn(
        f"{name} was trained on molecules; periodic results are extrapolation",
        stacklevel=2,
    )


def check_neutral_singlet(atoms: Atoms, charge: float, spin: float, name: str) -> None:
    """Refuse charged and open-shell input.

    What the structure states comes first (see `ase_physml.charges`), then the
    calculator's own.

    Of periodic structures only the charge is read. A multiplicity is a molecule's: the
    electrons of a crystal fill bands, whether their number is odd depends on the choice
    of the cell, and the moments of its atoms are where a DFT calculation started.

    Args:
        atoms: Structure.
        charge: Total charge in e that the calculator was given.
        spin: Multiplicity 2S+1 that the calculator was given.
        name: Of the potential, for messages.

    Raises:
        StructureError: Naming the charge or multiplicity, and where it came from; or an
            odd number of electrons.
    """
    total = total_charge(atoms) or Stated(charge, "the calculator's charge=")
    if not is_neutral(total.value, len(atoms)):
        raise StructureError(
            f"{name} was trained on neutral structures, but the total charge is "
            f"{total.value:+g} (from {total.source}); neutralise the structure or use "
            "a method for ions"
        )
    if atoms.pbc.any():
        return
    shell = multiplicity(atoms) or Stated(spin, "the calculator's spin=")
    if not is_singlet(shell.value):
        raise StructureError(
            f"{name} was trained on closed-shell molecules, multiplicity 2S+1 = 1, but "
            f"the multiplicity is {shell.value:g} (from {shell.source}); use a method "
            "for open shells"
        )
    electrons = int(atoms.numbers.sum())
    if electrons % 2:
        raise StructureError(
            f"{name} was trained on closed-shell molecules, but neutral "
            f"{atoms.get_chemical_formula()} has {electrons} electrons, an odd number; "
            "add the missing atom (often a hydrogen) or use a method for radicals and "
            "ions"
        )


def _label(atoms: Atoms, index: int) -> str:
    number = int(atoms.numbers[index])
    known = 0 <= number < len(chemical_symbols)
    return f"{index} ({chemical_symbols[number] if known else number})"
