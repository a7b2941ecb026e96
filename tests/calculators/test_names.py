"""Calculators from what people type."""

from pathlib import Path

import pytest
from ase.build import molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from ase_physml.calculators.names import (
    as_calculator,
    is_potential,
    make_calculator,
    name_of,
)
from ase_physml.errors import PhysMLError, PotentialError


def test_names_of_ase() -> None:
    assert isinstance(make_calculator("emt"), EMT)


@pytest.mark.parametrize("name", ["tblite", "tblite:GFN2-xTB"])
def test_tblite(name: str) -> None:
    pytest.importorskip("tblite")
    water = molecule("H2O")
    water.calc = make_calculator(name)
    # The value of tblite's own documentation.
    assert water.get_potential_energy() == pytest.approx(-137.96777625, abs=1e-6)


def test_a_factory_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_group.py").write_text(
        "from ase.calculators.lj import LennardJones\n"
        "def argon(): return LennardJones(sigma=3.4)\n"
        "def broken(): raise OSError('no licence')\n"
        "def number(): return 3\n"
        "sigma = 3.4\n"
    )
    monkeypatch.chdir(tmp_path)
    made = make_calculator("my_group:argon")
    assert isinstance(made, Calculator)
    assert made.parameters["sigma"] == 3.4
    for name, reason in {
        "my_group:sigma": "has no function 'sigma'",
        "my_group:krypton": "has no function 'krypton'",
        "my_group:number": "number returned int, not an ASE calculator",
        "my_group:broken": r"cannot be built \(OSError: no licence\)",
        "your_group:argon": "No module named 'your_group'",
    }.items():
        with pytest.raises(PotentialError, match=reason):
            make_calculator(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("tblite:GFN9", "no method 'GFN9'; use one of GFN2-xTB"),
        ("missing.pt", r"missing\.pt.*module:factory"),
        ("gfn2", "gfn2.*tblite:GFN2-xTB"),
        ("", "module:factory"),
    ],
)
def test_what_is_not_there(name: str, reason: str) -> None:
    pytest.importorskip("tblite")
    with pytest.raises(PhysMLError, match=reason):
        make_calculator(name)


def test_calculators_and_names_are_taken(tiny_potential: Path) -> None:
    made = EMT()
    assert as_calculator(made) is made and name_of(made) == "emt"
    assert isinstance(as_calculator("emt"), EMT)
    by_path = as_calculator(tiny_potential)
    assert name_of(by_path) == tiny_potential.name
    committee = as_calculator([tiny_potential, str(tiny_potential)])
    assert committee.is_committee
    assert is_potential("qm9.pt") and not is_potential("emt")
    assert not is_potential("tblite") and not is_potential("my_group:argon")


class EnergyOnly(Calculator):
    """No forces."""

    implemented_properties = ["energy"]  # noqa: RUF012


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "None is no calculator"),
        ([], r"\[\] is no calculator"),
        (EMT, "the class EMT is no calculator"),
        (molecule("H2O"), "no calculator"),
        (EnergyOnly(), "EnergyOnly computes no forces"),
        (SinglePointCalculator(molecule("H2O"), energy=1.0), "only keeps results"),
    ],
)
def test_what_is_no_calculator_is_named(given: object, reason: str) -> None:
    with pytest.raises(PotentialError, match=reason):
        as_calculator(given)
