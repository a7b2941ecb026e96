"""What a calculator is told after it is made: honoured, or refused."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from ase_physml import PhysChemCalculator, PhysMLCalculator
from ase_physml.errors import PotentialError, StructureError


@pytest.fixture
def alcohol(tiny_conformations: Path) -> PhysChemCalculator:
    return PhysChemCalculator(tiny_conformations, smiles="CO", check_bonds=False)


def methanol() -> Atoms:
    """In the order of the SMILES."""
    return molecule("CH3OH")[[0, 1, 2, 4, 5, 3]]


@pytest.mark.parametrize("name", ["nonsense", "dtype", "multiplicity", "parameters"])
def test_no_such_parameter(calculator: PhysMLCalculator, name: str) -> None:
    with pytest.raises(PotentialError, match=f"no '{name}' to set; there are charge, "):
        calculator.set(**{name: 1})
    with pytest.raises(PotentialError, match="to set"):
        calculator.set(charge=0, nonsense=1)


@pytest.mark.parametrize("value", [None, "1", np.nan, [0], True])
def test_no_such_value(calculator: PhysMLCalculator, value: object) -> None:
    with pytest.raises(PotentialError, match="charge must be a number, got"):
        calculator.set(charge=value)
    with pytest.raises(PotentialError, match="spin must be a number, got"):
        calculator.spin = value  # type: ignore[assignment]
    assert (calculator.charge, calculator.spin) == (0, 1)


@pytest.mark.parametrize("change", [{"charge": 1}, {"spin": 3}])
@pytest.mark.parametrize("by", ["set", "attribute"])
def test_no_results_of_another_charge(
    calculator: PhysMLCalculator, change: dict[str, int], by: str
) -> None:
    atoms = molecule("H2O")
    atoms.calc = calculator
    energy = atoms.get_potential_energy()
    ((name, value),) = change.items()
    before = getattr(calculator, name)
    if by == "set":
        assert calculator.set(**change) == change
    else:
        setattr(calculator, name, value)
    assert getattr(calculator, name) == value
    with pytest.raises(StructureError, match=f"from the calculator's {name}="):
        atoms.get_potential_energy()
    assert calculator.set(**{name: before}) == {name: before}
    assert atoms.get_potential_energy() == energy


def test_the_same_value_forgets_nothing(calculator: PhysMLCalculator) -> None:
    atoms = molecule("H2O")
    atoms.calc = calculator
    atoms.get_potential_energy()
    assert calculator.set(charge=0, spin=1) == {}
    atoms.get_potential_energy()
    assert calculator.evaluations == 1


def test_copies_have_charges_of_their_own(calculator: PhysMLCalculator) -> None:
    other = copy.copy(calculator)
    other.charge = 2
    assert calculator.charge == 0
    assert pickle.loads(pickle.dumps(other)).charge == 2
    # Nor do results of the one count for the other.
    atoms = molecule("H2O")
    atoms.calc = other
    calculator.calculate_many([atoms])
    with pytest.raises(StructureError, match=r"charge is \+2"):
        atoms.get_potential_energy()


STATED = {
    "total_charge": {"total_charge": 1},
    "Charge": {"Charge": -1},
    "multiplicity": {"multiplicity": 3},
    "spin_multiplicity": {"spin_multiplicity": 3},
    "unpaired": {"unpaired_electrons": 2},
    "disagree": {"charge": 0, "total_charge": 1},
    "nonsense": {"multiplicity": "triplet"},
}


@pytest.mark.parametrize("info", STATED.values(), ids=STATED.keys())
def test_structures_state_it_under_many_names(
    calculator: PhysMLCalculator, alcohol: PhysChemCalculator, info: dict[str, object]
) -> None:
    for calc in (calculator, alcohol):
        atoms = methanol()
        atoms.calc = calc
        atoms.get_potential_energy()
        # Stated after a calculation: the results are not those of the ion.
        atoms.info.update(info)
        with pytest.raises(StructureError):
            atoms.get_potential_energy()
        with pytest.raises(StructureError):
            calc.calculate(atoms)


def test_many_small_charges_are_not_an_ion_but_one_is(
    calculator: PhysMLCalculator,
) -> None:
    many = Atoms()
    for k in range(300):
        one = molecule("H2O")
        one.positions[:, 0] += 4.0 * k
        many += one
    many.set_initial_charges(np.full(len(many), 4e-4))
    calculator.check(many)
    many.set_initial_charges(None)
    many.info["charge"] = 1
    many.set_cell([1200, 4, 4])
    large = many.repeat((9, 1, 1))
    for atoms in (many, large):
        with pytest.raises(StructureError, match=r"total charge is \+1"):
            calculator.check(atoms)


def test_bonds_with_a_charge(tiny_conformations: Path) -> None:
    calc = PhysChemCalculator(
        tiny_conformations, smiles="C[O-]", check_bonds=False, stiffness=1.0
    )
    ion = methanol()[:5]
    expected = calc.get_potential_energy(ion)
    ion.info["charge"] = -1
    assert calc.get_potential_energy(ion) == expected
    ion.info["charge"] = 0
    with pytest.raises(StructureError, match=r"charge is \+0 .*info.*C\[O-\] is -1"):
        calc.get_potential_energy(ion)
    radical = PhysChemCalculator(tiny_conformations, smiles="C[O]", check_bonds=False)
    atoms = methanol()[:5]
    atoms.set_initial_magnetic_moments([0, 1, 0, 0, 0])
    radical.get_potential_energy(atoms)
    atoms.set_initial_magnetic_moments(None)
    atoms.info["multiplicity"] = 1
    with pytest.raises(StructureError, match="has 1 unpaired"):
        radical.get_potential_energy(atoms)


def test_restraints_are_set_anew(alcohol: PhysChemCalculator) -> None:
    atoms = methanol()
    atoms.rattle(0.1, seed=0)
    atoms.calc = alcohol
    energy = atoms.get_potential_energy()
    alcohol.stiffness = 2 * alcohol.stiffness
    assert atoms.get_potential_energy() == pytest.approx(2 * energy)
    alcohol.set(check_bonds=True)
    atoms.positions[1] += 20.0
    with pytest.raises(StructureError, match="is broken"):
        atoms.get_potential_energy()
    for change in ({"stiffness": 0}, {"hops": 0}, {"check_bonds": "no"}, {"model": 1}):
        with pytest.raises(PotentialError):
            alcohol.set(**change)


def test_hops_choose_the_restraints(tiny_conformations: Path) -> None:
    calc = PhysChemCalculator(tiny_conformations, smiles="CCCO", check_bonds=False)
    atoms = Atoms("C3O", np.eye(4, 3) + [[k, 0, 0] for k in range(4)])
    for hops in (1, None, 2):
        calc.hops = hops
        other = PhysChemCalculator(
            tiny_conformations, smiles="CCCO", check_bonds=False, hops=hops
        )
        assert calc.get_potential_energy(atoms) == other.get_potential_energy(atoms)
