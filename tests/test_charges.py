"""What a structure states of its charge and its spin."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from ase_physml.charges import (
    is_neutral,
    is_singlet,
    multiplicity,
    state,
    total_charge,
)
from ase_physml.errors import StructureError


def water(**info: object) -> Atoms:
    atoms = molecule("H2O")
    atoms.info.update(info)
    return atoms


def with_results(**results: object) -> Atoms:
    atoms = molecule("H2O")
    atoms.calc = SinglePointCalculator(atoms)
    atoms.calc.results.update(results)
    return atoms


@pytest.mark.parametrize(
    "key", ["charge", "total_charge", "Charge", "NET_CHARGE", "PUBCHEM_TOTAL_CHARGE"]
)
def test_names_of_the_charge(key: str) -> None:
    stated = total_charge(water(**{key: np.int64(-1)}))
    assert stated is not None
    assert stated.value == -1.0
    assert key in stated.source


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spin", 3),
        ("multiplicity", 3),
        ("spin_multiplicity", "3"),
        ("unpaired_electrons", 2),
        ("uhf", [2]),
    ],
)
def test_names_of_the_multiplicity(key: str, value: object) -> None:
    stated = multiplicity(water(**{key: value}))
    assert stated is not None
    assert stated.value == 3.0
    assert not is_singlet(stated.value)


def test_nothing_is_stated() -> None:
    for atoms in (water(), water(charge=None, spin=None)):
        assert total_charge(atoms) is None
        assert multiplicity(atoms) is None


def test_a_multiplicity_of_zero_is_not_set() -> None:
    stated = multiplicity(water(spin=0, multiplicity=1))
    assert stated is not None
    assert is_singlet(stated.value)


def test_two_statements_must_agree() -> None:
    with pytest.raises(StructureError, match="disagree"):
        total_charge(water(charge=0, total_charge=1))
    with pytest.raises(StructureError, match="disagree"):
        multiplicity(water(multiplicity=1, unpaired_electrons=1))


@pytest.mark.parametrize("value", ["much", [1, 2, 3], True, {"of": 1}])
def test_no_number(value: object) -> None:
    with pytest.raises(StructureError, match="must be one number"):
        total_charge(water(charge=value))


def test_partial_charges_rounded_to_three_digits_are_neutral() -> None:
    random = np.random.default_rng(0)
    for count in (3, 100, 2000):
        charges = random.normal(size=count) * 0.3
        charges -= charges.mean()
        assert is_neutral(float(np.round(charges, 3).sum()), count)
    assert not is_neutral(1.0, 300)
    assert not is_neutral(float("nan"))


def test_results_of_a_file_are_kept() -> None:
    anion = with_results(charges=np.array([-0.98, -0.01, 0.02]))
    radical = with_results(magmom=0.99)
    for atoms in (anion, radical):
        state(atoms)
        atoms.calc = None
    charge, spin = total_charge(anion), multiplicity(radical)
    assert charge is not None
    assert charge.value == -1.0
    assert spin is not None
    assert spin.value == 2.0


def test_initial_charges_and_moments() -> None:
    atoms = water()
    atoms.set_initial_charges([0.5, 0.25, 0.25])
    atoms.set_initial_magnetic_moments([[0, 0, 1], [0, 0, 1], [0, 0, 0]])
    charge, spin = total_charge(atoms), multiplicity(atoms)
    assert charge is not None
    assert charge.value == 1.0
    assert spin is not None
    assert spin.value == 3.0
    atoms.info.update(charge=0, spin=1)
    assert total_charge(atoms).value == 0.0  # type: ignore[union-attr]
    assert multiplicity(atoms).value == 1.0  # type: ignore[union-attr]
