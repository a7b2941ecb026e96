"""Every input that a potential refuses: the error names the atom and the remedy."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from ase_physml import PhysMLCalculator
from ase_physml.errors import StructureError


def broken(position: float) -> Atoms:
    atoms = molecule("CH3OH")
    atoms.positions[2, 1] = position
    return atoms


def coincident() -> Atoms:
    atoms = molecule("CH3OH")
    atoms.positions[4] = atoms.positions[3] + 1e-4
    return atoms


def boxed(pbc: object) -> Atoms:
    atoms = molecule("H2O", vacuum=5.0)
    atoms.pbc = pbc
    return atoms


def with_info(**info: object) -> Atoms:
    atoms = molecule("H2O")
    atoms.info.update(info)
    return atoms


def with_charges() -> Atoms:
    atoms = molecule("H2O")
    atoms.set_initial_charges([0.0, 0.5, 0.5])
    return atoms


def with_moments() -> Atoms:
    atoms = molecule("O2")
    atoms.set_initial_magnetic_moments([1.0, 1.0])
    return atoms


REFUSED = {
    "empty": (Atoms(), "no atoms"),
    "unknown element": (
        molecule("SiH4"),
        r"knows H, C, N, O, not the element of atom 0 \(Si\).*fine-tune",
    ),
    "element of another": (
        molecule("CH3SH"),
        r"not the element of atom 1 \(S\); shipped .* adsorption.pt \(molecules on",
    ),
    "unknown elements": (
        molecule("CH3Cl") + Atoms("NaPt", [[5, 5, 5], [9, 9, 9]]),
        r"atom 1 \(Cl\), 5 \(Na\), 6 \(Pt\);",
    ),
    "no element": (Atoms(numbers=[1, 150]), r"not the element of atom 1 \(150\)"),
    "nan": (broken(np.nan), r"position of atom 2 \(H\).*time step"),
    "inf": (broken(np.inf), r"position of atom 2 \(H\)"),
    "coincident": (coincident(), r"atoms 3 \(H\) and 4 \(H\) coincide.*remove one"),
    "charge": (with_info(charge=1), r"charge is \+1 \(from atoms.info\['charge'\]"),
    "charges": (with_charges(), r"charge is \+1 \(from the initial charges, \+0.5 on"),
    "triplet": (with_info(spin=3), r"multiplicity is 3 \(from atoms.info\['spin'\]\)"),
    "moments": (with_moments(), r"multiplicity is 3 .*1 on atom 0 \(O\)"),
    "radical": (Atoms("CH3", np.eye(4, 3) * 1.1), "9 electrons, an odd number"),
    "nonsense": (with_info(charge="much"), "must be one number"),
}  # fmt: skip


@pytest.mark.parametrize(("atoms", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(calculator: PhysMLCalculator, atoms: Atoms, message: str) -> None:
    atoms.calc = calculator
    with pytest.raises(StructureError, match=message):
        atoms.get_potential_energy()
    with pytest.raises(StructureError, match=message):
        calculator.calculate_many([molecule("H2O"), atoms])


def test_the_calculators_own_charge(calculator: PhysMLCalculator) -> None:
    calculator.charge = -1
    with pytest.raises(StructureError, match="from the calculator's charge="):
        calculator.calculate_many([molecule("H2O")])
    # What a structure says of itself comes first.
    calculator.calculate_many([with_info(charge=0)])


def test_a_charge_set_later_is_not_overlooked(calculator: PhysMLCalculator) -> None:
    atoms = molecule("H2O")
    atoms.calc = calculator
    atoms.get_potential_energy()
    atoms.info["charge"] = 1
    with pytest.raises(StructureError, match="total charge"):
        atoms.get_potential_energy()


def test_no_results_are_left_after_a_refusal(calculator: PhysMLCalculator) -> None:
    atoms = molecule("H2O")
    atoms.calc = calculator
    atoms.get_potential_energy()
    atoms.positions[0] = np.nan
    for _ in range(2):
        with pytest.raises(StructureError):
            atoms.get_potential_energy()


def test_accepted(calculator: PhysMLCalculator) -> None:
    neutral = molecule("H2O")
    neutral.set_initial_charges([-0.8, 0.41, 0.4])  # printed to a few digits
    close = Atoms("H2", [[0, 0, 0], [0.05, 0, 0]])
    for atoms in (neutral, close, with_info(charge=0, spin=1), boxed(False)):
        atoms.calc = calculator
        assert np.isfinite(atoms.get_forces()).all()
