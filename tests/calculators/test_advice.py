"""Second derivatives of a potential that is not for them: said once, to who asks."""

import copy
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from ase.build import bulk, molecule
from ase.calculators.test import calculate_numerical_forces
from ase.phonons import Phonons
from ase.vibrations import Vibrations

from ase_physml import PhysMLCalculator
from ase_physml.store.checkpoint import load_potential, save_model


@pytest.fixture
def unfit(tiny_potential: Path, tmp_path: Path) -> Path:
    model, card = load_potential(tiny_potential)
    path = tmp_path / "unfit.pt"
    save_model(path, model, replace(card, not_for=["vibrations"]))
    return path


class MyVibrations(Vibrations):
    pass


@pytest.mark.parametrize("kind", [Vibrations, MyVibrations])
def test_vibrations_warn_once(
    unfit: Path, tmp_path: Path, kind: type[Vibrations]
) -> None:
    calculator = PhysMLCalculator(unfit, device="cpu")
    water = molecule("H2O")
    water.calc = copy.copy(calculator)
    with pytest.warns(UserWarning, match=r"unfit\.pt is not for vibrations") as said:
        kind(water, name=str(tmp_path / "vib")).run()
    assert len(said) == 1
    water.calc = calculator
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kind(water, name=str(tmp_path / "again")).run()


@pytest.mark.filterwarnings("ignore:.*trained on molecules.*")
def test_phonons_warn(unfit: Path, tmp_path: Path) -> None:
    calculator = PhysMLCalculator(unfit, device="cpu")
    phonons = Phonons(bulk("C"), calculator, name=str(tmp_path / "phonon"))
    with pytest.warns(UserWarning, match="not for vibrations"):
        phonons.run()


def test_others_may_displace_atoms(unfit: Path) -> None:
    water = molecule("H2O")
    water.calc = PhysMLCalculator(unfit, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calculate_numerical_forces(water, eps=1e-3, iatoms=[0])


def test_a_potential_that_is_for_them(tiny_potential: Path, tmp_path: Path) -> None:
    water = molecule("H2O")
    water.calc = PhysMLCalculator(tiny_potential, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Vibrations(water, name=str(tmp_path / "vib"), indices=[0]).run()


def test_what_shipped_potentials_are_not_for(tmp_path: Path) -> None:
    # A copy of a shipped file is no better for having another name.
    mine = tmp_path / "mine.pt"
    mine.write_bytes(PhysMLCalculator("qm9_equilibrium.pt").sources[0].read_bytes())
    card = PhysMLCalculator(mine).card
    assert card is not None
    assert "vibrations" in card.not_for
