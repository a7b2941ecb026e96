"""BatchedNEB does what ASE's NEB does, with fewer calls."""

import copy
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.mep import NEB
from ase.optimize import BFGS, FIRE, MDMin

from ase_physml import BatchedNEB, PhysMLCalculator
from ase_physml.errors import StructureError
from ase_physml.tasks.band import run_bands


@pytest.fixture
def calculator(tiny_potential: Path) -> PhysMLCalculator:
    return PhysMLCalculator(tiny_potential, device="cpu")


def path(seed: int = 1, turn: float = 0.0, name: str = "CH3OH") -> list[Atoms]:
    first = molecule(name)
    last = first.copy()
    last.rattle(0.2, seed=seed)
    last.rotate(turn, "z")
    return [first.copy() for _ in range(4)] + [last]


SETTINGS = {
    "plain": {},
    "climbing": {"climb": True},
    "string": {"method": "string"},
    "spline": {"method": "spline"},
    "springs": {"method": "eb", "k": 0.3},
    "aligned": {"remove_rotation_and_translation": True},
}


@pytest.mark.parametrize("optimizer", [FIRE, BFGS, MDMin])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_equals_the_band_of_ase(
    calculator: PhysMLCalculator, settings: dict[str, object], optimizer: type
) -> None:
    energies, positions = [], []
    for kind in (NEB, BatchedNEB):
        images = path(turn=10.0 if "remove_rotation_and_translation" in settings else 0)
        for image in images:
            image.calc = copy.copy(calculator)
        band = kind(images, **{"method": "improvedtangent", **settings})
        band.interpolate()
        optimizer(band, logfile=None).run(fmax=1e-6, steps=6)
        energies.append([image.get_potential_energy() for image in images])
        positions.append(np.array([image.positions for image in images]))
    np.testing.assert_allclose(*energies, atol=1e-8)
    np.testing.assert_allclose(*positions, atol=1e-6)


@pytest.mark.parametrize("aligned", [False, True])
def test_no_image_is_computed_alone(
    calculator: PhysMLCalculator, aligned: bool
) -> None:
    images = path(turn=5.0)
    band = BatchedNEB(images, calculator, remove_rotation_and_translation=aligned)
    band.interpolate("idpp")
    before = calculator.evaluations
    FIRE(band, logfile=None).run(fmax=1e-9, steps=5)
    assert calculator.evaluations - before == 6
    assert all(image.calc.evaluations == before for image in images)


def test_many_bands_are_the_bands_one_by_one(calculator: PhysMLCalculator) -> None:
    def bands() -> list[BatchedNEB]:
        made = [
            BatchedNEB(path(seed, name=name), calculator)
            for seed, name in enumerate(["CH3OH", "NH3", "C2H4"])
        ]
        for band in made:
            band.interpolate()
        return made

    together, alone = bands(), bands()
    before = calculator.evaluations
    run_bands(together, fmax=1e-9, steps=4)
    assert calculator.evaluations - before == 5
    for band in alone:
        FIRE(band, logfile=None).run(fmax=1e-9, steps=4)
    for one, other in zip(together, alone, strict=True):
        assert one.barrier == pytest.approx(other.barrier, abs=1e-8)
        assert one.reaction_energy == pytest.approx(other.reaction_energy, abs=1e-8)


def test_bands_that_have_converged_leave(calculator: PhysMLCalculator) -> None:
    easy, hard = (BatchedNEB(path(seed), calculator) for seed in (1, 2))
    easy.interpolate()
    hard.interpolate()
    seen: list[int] = []
    force = np.linalg.norm(easy.get_forces(), axis=1).max()
    done = run_bands(
        [easy, hard], fmax=1.0001 * force, steps=2, on_step=lambda i, *_: seen.append(i)
    )
    assert done[0]
    assert seen.count(0) == 1


def test_ends_of_another_molecule_and_other_calculators_are_refused(
    calculator: PhysMLCalculator,
) -> None:
    with pytest.raises(ValueError, match="different numbers of atoms"):
        BatchedNEB([molecule("CH4"), molecule("NH3")], calculator)
    with pytest.raises(StructureError, match="needs a PhysML calculator"):
        BatchedNEB(path())
    with pytest.raises(StructureError, match="needs a PhysML calculator"):
        BatchedNEB(path(), EMT())
    with pytest.raises(StructureError, match="Si"):
        BatchedNEB([molecule("SiH4"), molecule("SiH4")], calculator)
