"""BatchedNEB does what ASE's NEB does, with fewer calls."""

import copy
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc100, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.mep import NEB
from ase.optimize import BFGS, FIRE, MDMin

from ase_physml import BatchedNEB, PhysMLCalculator
from ase_physml.calculators.many import compute_one
from ase_physml.errors import PotentialError, StructureError
from ase_physml.workflows.paths.band import run_bands


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
    with pytest.raises(StructureError, match="needs a calculator"):
        BatchedNEB(path())
    with pytest.raises(PotentialError, match=r"3 is no calculator"):
        BatchedNEB(path(), 3)
    with pytest.raises(StructureError, match=r"image 1 is not an ase.Atoms but a str"):
        BatchedNEB([molecule("CH4"), "CH4"], calculator)
    with pytest.raises(StructureError, match="Si"):
        BatchedNEB([molecule("SiH4"), molecule("SiH4")], calculator)


class InBatches(EMT):
    """EMT that counts its batches."""

    batches: list[int]

    def calculate_many(self, structures: list[Atoms]) -> list[dict[str, object]]:
        self.batches.append(len(structures))
        return [compute_one(EMT(), atoms) for atoms in structures]


@pytest.mark.parametrize("kind", ["emt", EMT, InBatches])
def test_other_calculators_give_the_band_of_ase(kind: str | type[EMT]) -> None:
    made = [images_of_a_hop() for _ in range(2)]
    for image in made[0]:
        image.calc = EMT()
    plain = NEB(made[0], method="improvedtangent")
    plain.interpolate("idpp", mic=True)
    FIRE(plain, logfile=None).run(fmax=1e-6, steps=3)
    calculator = kind if isinstance(kind, str) else kind()
    if isinstance(calculator, InBatches):
        calculator.batches = []
    batched = BatchedNEB(made[1], calculator)
    batched.interpolate("idpp")
    FIRE(batched, logfile=None).run(fmax=1e-6, steps=3)
    for one, other in zip(*made, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-9)
        assert one.get_potential_energy() == pytest.approx(
            other.get_potential_energy(), abs=1e-9
        )
    if isinstance(calculator, InBatches):
        # Both ends with the first step, then what moves.
        assert calculator.batches == [5, 3, 3, 3]


def images_of_a_hop() -> list[Atoms]:
    """Gold on copper, its last image wrapped to the other side of the cell."""
    slab = fcc100("Cu", (2, 2, 1), vacuum=6.0)
    add_adsorbate(slab, "Au", 1.8, "hollow")
    slab.set_constraint(FixAtoms([0, 3]))
    last = slab.copy()
    last.positions[-1, 0] -= 0.45 * slab.cell[0, 0]
    last.wrap()
    assert last.positions[-1, 0] - slab.positions[-1, 0] > 0.5 * slab.cell[0, 0]
    return [slab, *(slab.copy() for _ in range(3)), last]


def test_what_is_held_is_not_turned() -> None:
    images = path()
    for image in images:
        image.set_constraint(FixAtoms([0]))
    with pytest.raises(StructureError, match="image 0 is held by FixAtoms"):
        BatchedNEB(images, EMT(), remove_rotation_and_translation=True)


@pytest.mark.parametrize("method", ["linear", "idpp"])
def test_atoms_that_trade_places_are_named(method: str) -> None:
    first = molecule("CH4")
    last = first.copy()
    last.positions[[1, 2]] = last.positions[[2, 1]]
    band = BatchedNEB([first, *(first.copy() for _ in range(3)), last], EMT())
    with pytest.raises(
        StructureError, match=r"atoms 1 \(H\) and 2 \(H\) .* image 2 .*order differ"
    ):
        band.interpolate(method)


class Tearing:
    """An optimizer of which one fails on the way."""

    def __init__(self, band: BatchedNEB, **_: object) -> None:
        self.band, self.nsteps = band, 0

    def step(self) -> None:
        if len(self.band.images[0]) == 4:
            raise ZeroDivisionError("no more")


def test_a_band_that_fails_leaves_the_others(calculator: PhysMLCalculator) -> None:
    bands = [BatchedNEB(path(name=name), calculator) for name in ("NH3", "CH3OH")]
    for band in bands:
        band.interpolate()
    failed, other = run_bands(bands, Tearing, fmax=1e-9, steps=2)
    assert isinstance(failed, ZeroDivisionError) and other is False
