"""What constraints of two ends allow."""

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc100, molecule
from ase.constraints import (
    FixAtoms,
    FixBondLength,
    FixCartesian,
    FixCom,
    FixedPlane,
    FixInternals,
    Hookean,
)

from ase_physml.errors import StructureError
from ase_physml.workflows.alignment import align_ends, placement_of
from ase_physml.workflows.constraints import check_same_constraints

SPATIAL = {
    "FixAtoms": FixAtoms([0]),
    "FixCartesian": FixCartesian(0, (True, False, False)),
    "FixedPlane": FixedPlane(0, (0, 0, 1)),
    "Hookean": Hookean(0, (0.0, 0.0, 5.0), 5.0, 1.0),
    "FixCom": FixCom(),
}
INTERNAL = {
    "FixBondLengths": FixBondLength(0, 1),
    "FixInternals": FixInternals(bonds=[[1.5, [0, 1]]]),
    "Hookean": Hookean(0, 1, 5.0, 1.0),
}


def ethanol(*constraints: Any) -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.set_constraint(list(constraints))
    return atoms


@pytest.mark.parametrize("name", SPATIAL)
def test_what_is_held_in_space_stays(name: str) -> None:
    reactant = ethanol(SPATIAL[name])
    product = reactant.copy()
    product.positions[-1] += 0.3
    placement = placement_of(reactant)
    assert not placement.aligned and name in placement.about
    if name == "FixCom":
        with pytest.raises(StructureError, match="FixCom"):
            align_ends(reactant, product)
        return
    aligned = align_ends(reactant, product)
    np.testing.assert_array_equal(aligned.positions, product.positions)


@pytest.mark.parametrize("name", INTERNAL)
def test_distances_between_atoms_allow_turning(name: str) -> None:
    reactant = ethanol(INTERNAL[name])
    product = reactant.copy()
    product.positions = ethanol().positions[:, [1, 2, 0]] + 3.0
    assert placement_of(reactant).aligned
    aligned = align_ends(reactant, product)
    np.testing.assert_allclose(aligned.positions, reactant.positions, atol=1e-8)
    assert len(aligned.constraints) == 1


def test_held_atoms_that_lie_elsewhere_are_refused() -> None:
    reactant = ethanol(FixAtoms([1, 4]))
    product = reactant.copy()
    product.positions[4] += [0.0, 0.5, 0.0]
    with pytest.raises(StructureError, match=r"FixAtoms.* atom 4 \(H\) .* 0.50 Å"):
        align_ends(reactant, product)
    stretched = ethanol(FixBondLength(0, 1))
    stretched.positions[0] += 0.3 * (stretched.positions[0] - stretched.positions[1])
    with pytest.raises(StructureError, match="FixBondLengths"):
        align_ends(ethanol(FixBondLength(0, 1)), stretched)


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        ([FixAtoms([0, 1])], [], "only the reactant has FixAtoms of atoms 0, 1"),
        ([FixAtoms([0])], [FixAtoms([0, 2])], "only the product FixAtoms of atoms 2"),
        ([Hookean(0, 1, 5.0, 1.0)], [Hookean(0, 1, 6.0, 1.0)], "Hookean"),
        ([FixInternals(bonds=[[1.5, [0, 1]]])], [FixCom()], "FixInternals"),
    ],
)
def test_constraints_that_differ_are_named(
    one: list[Any], other: list[Any], named: str
) -> None:
    with pytest.raises(StructureError, match=named):
        align_ends(ethanol(*one), ethanol(*other))


def test_constraints_are_compared_by_what_they_do() -> None:
    one = ethanol(FixAtoms([2, 0]), FixBondLength(0, 1))
    # As extended XYZ gives them: a mask for every atom.
    every = FixCartesian([0], (True,) * 3), FixCartesian([3, 4], (False,) * 3)
    other = ethanol(FixBondLength(0, 1), *every, FixAtoms([2]))
    check_same_constraints(one, other)


def test_cells_are_not_aligned() -> None:
    slab = fcc100("Cu", (2, 2, 2), vacuum=5.0)
    moved = slab.copy()
    moved.positions += 0.2
    np.testing.assert_array_equal(align_ends(slab, moved).positions, moved.positions)
    assert placement_of(slab).periodic
    larger = slab.copy()
    larger.set_cell(slab.cell * [1.01, 1.0, 1.0])
    with pytest.raises(StructureError, match="different cells: lattice vector 0"):
        align_ends(slab, larger)
    larger.pbc = False
    with pytest.raises(StructureError, match="boundary conditions"):
        align_ends(slab, larger)


def test_matching_in_a_cell_looks_across_its_edge() -> None:
    slab = fcc100("Cu", (2, 2, 2), vacuum=5.0)
    slab.set_constraint(FixAtoms([0, 1]))
    moved = slab.copy()
    moved.positions[:, 0] += slab.cell[0, 0] * np.array([1, 0, 0, 1, 0, 0, 0, 0])
    moved = moved[[1, 0, 2, 4, 3, 5, 7, 6]]
    matched = align_ends(slab, moved, match=True)
    apart = slab.copy()
    apart.positions = matched.positions
    apart.wrap(eps=1e-6)
    np.testing.assert_allclose(apart.positions, slab.positions, atol=1e-9)


def test_charges_that_differ_are_refused() -> None:
    charged = ethanol()
    charged.set_initial_charges([1.0] + [0.0] * 8)
    with pytest.raises(StructureError, match=r"add up to \+0 and \+1"):
        align_ends(ethanol(), charged)
    one, other = ethanol(), ethanol()
    one.info["charge"], other.info["charge"] = 0, 1
    with pytest.raises(StructureError, match="'charge'"):
        align_ends(one, other)
