"""Periodic structures through ASE: stress, cell filters, NPT, and what is refused."""

import copy
import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import add_adsorbate, bulk, fcc111, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.md.nptberendsen import NPTBerendsen
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE

from ase_physml import PhysMLCalculator, relax_many
from ase_physml.calculators.checks import warn_of_cells
from ase_physml.errors import PotentialError, StructureError
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.workflows.relax import Relaxed, relax

CONFIG = PhysMLConfig(
    elements=(1, 6, 8, 29), cutoff=4.0, pair_cutoff=6.0,
    width=16, depth=2, heads=2, n_basis=8,
)  # fmt: skip


def module(config: PhysMLConfig = CONFIG, seed: int = 0) -> PhysML:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PhysML(config)


@pytest.fixture
def metal() -> PhysMLCalculator:
    """Knows Cu, C, O and H, with random weights: right rules, no chemistry."""
    return PhysMLCalculator(module(), device="cpu")


def copper(seed: int = 0) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=seed)
    return atoms


def slab() -> Atoms:
    """CO on three layers of copper, without a third lattice vector."""
    atoms = fcc111("Cu", (2, 2, 3))
    add_adsorbate(atoms, molecule("CO"), 2.0, "ontop")
    atoms.rattle(0.05, seed=1)
    assert atoms.pbc.tolist() == [True, True, False]
    return atoms


@pytest.mark.parametrize("shape", ["cell", "skewed", "slab with vacuum"])
def test_stress_and_forces_are_gradients(metal: PhysMLCalculator, shape: str) -> None:
    atoms = copper()
    if shape == "skewed":
        strain = np.array([[1.0, 0.2, 0.0], [-0.1, 0.95, 0.3], [0.0, 0.1, 1.05]])
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    elif shape == "slab with vacuum":
        atoms.center(vacuum=4.0, axis=2)
        atoms.pbc = [True, True, False]
    atoms.calc = metal
    stress = atoms.get_stress()
    assert stress.shape == (6,) and stress.dtype == np.float64
    numerical = calculate_numerical_stress(atoms, eps=1e-5)
    np.testing.assert_allclose(stress, numerical, rtol=0, atol=1e-6)
    forces = calculate_numerical_forces(atoms, eps=1e-5)
    np.testing.assert_allclose(atoms.get_forces(), forces, rtol=0, atol=1e-6)


def test_a_compressed_cell_pushes(metal: PhysMLCalculator) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(0.7 * atoms.cell.array, scale_atoms=True)
    atoms.calc = metal
    # With ASE's sign, stress is negative where the cell would rather be larger.
    assert (atoms.get_stress()[:3] < 0.0).all()


def test_stress_needs_a_volume(metal: PhysMLCalculator) -> None:
    boxed = molecule("H2O", vacuum=4.0)
    for atoms in (molecule("H2O"), boxed, slab()):
        atoms.calc = metal
        energy = atoms.get_potential_energy()
        with pytest.raises(PropertyNotImplementedError, match="three lattice vectors"):
            atoms.get_stress()
        assert "stress" not in metal.results
        assert atoms.get_potential_energy() == energy


def test_odd_electrons_and_moments_of_a_crystal(metal: PhysMLCalculator) -> None:
    atoms = bulk("Cu")  # 29 electrons
    atoms.set_initial_magnetic_moments([0.6])
    atoms.calc = metal
    assert np.isfinite(atoms.get_potential_energy())
    atoms.info["charge"] = 1
    with pytest.raises(StructureError, match="total charge"):
        atoms.get_potential_energy()


def test_many_of_every_kind(metal: PhysMLCalculator) -> None:
    water = molecule("H2O")
    structures = [copper(), water, slab(), molecule("CH4"), copper(1), water]
    for atoms, many in zip(structures, metal.calculate_many(structures), strict=True):
        (one,) = metal.calculate_many([atoms])
        assert many.keys() == one.keys()
        for key, value in one.items():
            np.testing.assert_allclose(many[key], value, rtol=1e-9, atol=1e-9)
        assert ("stress" in one) == (atoms.cell.rank == 3)


def test_a_committee_gives_the_mean_stress() -> None:
    modules = [module(seed=seed) for seed in range(2)]
    said = []
    for model in (*modules, modules):
        atoms = copper()
        atoms.calc = PhysMLCalculator(model, device="cpu")
        said.append(atoms.get_stress())
    assert np.abs(said[0] - said[1]).max() > 1e-6
    np.testing.assert_allclose(said[2], (said[0] + said[1]) / 2, atol=1e-12)


def test_float32_is_close() -> None:
    atoms = copper()
    exact, single = (
        PhysMLCalculator(module(), device="cpu", dtype=dtype).calculate_many([atoms])[0]
        for dtype in ("float64", "float32")
    )
    assert single["stress"].dtype == np.float64
    np.testing.assert_allclose(single["stress"], exact["stress"], atol=1e-4)
    np.testing.assert_allclose(single["forces"], exact["forces"], atol=1e-3)


def test_a_cell_filter_lowers_the_enthalpy(metal: PhysMLCalculator) -> None:
    atoms = copper()
    atoms.set_cell(1.05 * atoms.cell.array, scale_atoms=True)
    atoms.calc = metal
    relaxed = FrechetCellFilter(atoms, scalar_pressure=1.0 * units.GPa)
    enthalpy, volume = relaxed.get_potential_energy(), atoms.get_volume()
    steepest = np.abs(relaxed.get_forces()).max()
    with FIRE(relaxed, logfile=None) as optimizer:
        optimizer.run(fmax=1e-3, steps=40)
    assert relaxed.get_potential_energy() < enthalpy
    assert np.abs(relaxed.get_forces()).max() < 0.5 * steepest
    assert atoms.get_volume() != volume


def test_constant_pressure_dynamics(metal: PhysMLCalculator) -> None:
    atoms = copper()
    atoms.calc = metal
    volume = atoms.get_volume()
    rng = np.random.default_rng(0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=rng)
    dynamics = NPTBerendsen(
        atoms, timestep=1.0 * units.fs, temperature_K=300,
        pressure_au=1.0 * units.GPa, compressibility_au=0.01 / units.GPa,
    )  # fmt: skip
    dynamics.run(20)
    assert np.isfinite(atoms.get_total_energy())
    assert 0.8 < atoms.get_volume() / volume < 1.2
    assert atoms.get_volume() != volume


def test_held_atoms_stay_in_relaxations(metal: PhysMLCalculator) -> None:
    structures = [slab(), slab()]
    for atoms, below in zip(structures, (0.5, 3.0), strict=True):
        atoms.set_constraint(FixAtoms(mask=atoms.positions[:, 2] < below))
    together = relax_many(structures, metal, fmax=1e-6, steps=5)
    for start, many in zip(structures, together, strict=True):
        alone = start.copy()
        alone.calc = metal
        for done in (many, relax(alone, fmax=1e-6, steps=5)):
            assert isinstance(done, Relaxed)
            held = start.constraints[0].index
            moved = np.linalg.norm(done.atoms.positions - start.positions, axis=1)
            assert (moved[held] == 0.0).all()
            assert (np.delete(moved, held) > 1e-4).all()
            # What may not move has no part in the threshold.
            forces = np.linalg.norm(done.atoms.get_forces(), axis=1)
            largest = np.delete(forces, held).max()
            assert done.fmax_history[-1] == pytest.approx(largest)


def test_a_skin_changes_nothing() -> None:
    trajectories, searches = [], []
    for skin in (0.0, 1.0):
        calculator = PhysMLCalculator(module(), device="cpu", skin=skin)
        atoms = copper()
        atoms.calc = calculator
        rng = np.random.default_rng(0)
        MaxwellBoltzmannDistribution(atoms, temperature_K=600, rng=rng)
        VelocityVerlet(atoms, 2.0 * units.fs).run(25)
        trajectories.append(atoms.positions)
        searches.append(calculator.neighbours.searches)
    np.testing.assert_allclose(trajectories[0], trajectories[1], rtol=0, atol=1e-10)
    assert searches[0] == 26
    assert searches[1] < 10


def test_copies_have_neighbours_of_their_own(metal: PhysMLCalculator) -> None:
    atoms = copper()
    atoms.calc = metal
    atoms.get_forces()
    for other in (copy.copy(metal), pickle.loads(pickle.dumps(metal))):
        assert other.neighbours is not metal.neighbours
        assert other.neighbours.searches == 0
        assert other.neighbours.skin == metal.neighbours.skin


def test_files_remember_the_stress(metal: PhysMLCalculator, tmp_path: Path) -> None:
    atoms = copper()
    atoms.calc = metal
    stress = atoms.get_stress()
    for name in ("cell.traj", "cell.xyz"):
        write(tmp_path / name, atoms)
        np.testing.assert_allclose(
            read(tmp_path / name).get_stress(), stress, atol=1e-7
        )


def test_a_potential_of_molecules_warns_once(tiny_potential: Path) -> None:
    warn_of_cells.cache_clear()
    calculator = PhysMLCalculator(tiny_potential, device="cpu")
    diamond = bulk("C")
    with pytest.warns(UserWarning, match=r"tiny\.pt was trained on molecules"):
        calculator.calculate_many([diamond])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calculator.calculate_many([diamond])
        # Its card says that it knows cells.
        assert calculator.card is not None
        training = {**calculator.card.training, "periodic": True}
        card = replace(calculator.card, training=training)
        calculator.loaded = replace(calculator.loaded, card=card)
        warn_of_cells.cache_clear()
        calculator.calculate_many([diamond])


def with_cell(cell: object, pbc: object = True) -> Atoms:
    return Atoms("CO", [[0, 0, 0], [1.1, 0, 0]], cell=cell, pbc=pbc)


def overlapping() -> Atoms:
    """Apart in the cell, together across its face."""
    return Atoms("C2", [[0.001, 1, 1], [2.999, 1, 1]], cell=[3, 3, 3], pbc=True)


REFUSED: dict[str, tuple[Callable[[], Atoms], str]] = {
    "no cell": (lambda: with_cell(None), "cell vector a is zero; set atoms.cell"),
    "no third": (lambda: with_cell([4, 4, 0]), "along a, b, c, but cell vector c is"),
    "flat": (
        lambda: with_cell([[4, 0, 0], [0, 4, 0], [4, 4, 0]]),
        "linearly dependent",
    ),
    "line": (
        lambda: with_cell([[4, 0, 0], [-8, 0, 0], [0, 0, 4]], [True, True, False]),
        "along a, b, but these cell vectors",
    ),
    "nan": (lambda: with_cell([4, 4, np.nan]), "the cell is .*nan"),
    "together": (overlapping, r"atoms \d \(C\) and \d \(C\) coincide, or images"),
    "element": (lambda: bulk("Au"), r"not the element of atom 0 \(Au\)"),
    "elements": (
        lambda: bulk("NaCl", "rocksalt", 5.6) * (2, 1, 1),
        r"atom 0 \(Na\), 1 \(Cl\) and 2 more",
    ),
    "tiny": (lambda: Atoms("C", cell=[0.2] * 3, pbc=True), "vector of 0.2 Å, shorter"),
    "thin": (
        lambda: Atoms("C", cell=[3, 3, 0.1], pbc=[0, 0, 1]),
        "vector of 0.1 Å, shorter than 0.3",
    ),
    "skewed": (
        lambda: with_cell([[3, 0, 0], [9e3, 3, 0], [0, 0, 3]]),
        "reduce it if it is",
    ),
    "nearly flat": (
        lambda: with_cell([[4, 0, 0], [0, 4, 0], [4, 4, 1e-3]]),
        "images to search .* more than 200,000",
    ),
    "dense": (lambda: Atoms("C", cell=[0.9] * 3, pbc=True), "1 atoms in 0.729 Å"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(
    metal: PhysMLCalculator, make: Callable[[], Atoms], message: str
) -> None:
    atoms = make()
    atoms.calc = metal
    with pytest.raises(StructureError, match=message):
        atoms.get_potential_energy()
    relaxed, refused = relax_many([copper(), make()], metal, steps=1)
    assert isinstance(relaxed, Relaxed)
    assert isinstance(refused, StructureError)


def test_cells_at_the_limit() -> None:
    calculator = PhysMLCalculator(module(), device="cpu")
    atoms = Atoms("C", cell=[0.31, 4, 4], pbc=True)
    assert np.isfinite(calculator.get_potential_energy(atoms))


def test_the_second_of_two_cells_is_named(metal: PhysMLCalculator) -> None:
    wrong = copper()
    wrong.positions[2] = wrong.positions[1] + wrong.cell.array[0] + 0.001
    with pytest.raises(StructureError, match=r"atoms 1 \(Cu\) and 2 \(Cu\) coincide"):
        metal.calculate_many([copper(), wrong])


def test_nothing_is_searched_for_coincidences(
    metal: PhysMLCalculator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(*_arguments: object) -> None:
        raise AssertionError("neighbours are known")

    atoms = slab()
    atoms.calc = metal
    atoms.get_forces()
    monkeypatch.setattr("ase_physml.neighbours.images_within", search)
    atoms.positions += 0.01
    atoms.get_forces()


def test_unused_lattice_vectors_do_not_matter(metal: PhysMLCalculator) -> None:
    pbc = [True, False, False]
    energies = []
    for cell in ([4, 0, 0], [[4, 0, 0], [8, 0, 0], [1, 1, 0]], [4, 3, 2]):
        atoms = with_cell(cell, pbc)
        atoms.calc = metal
        energies.append(atoms.get_potential_energy())
    assert energies == pytest.approx([energies[0]] * 3, abs=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cls": "two-way"}, "through its .CLS. token"),
        ({"cls": "one-way", "cls_energy": True}, "through its .CLS. token"),
        ({"pair_cutoff": None}, "does not converge"),
    ],
)
def test_potentials_that_do_not_add_up_over_cells(
    change: dict[str, object], message: str
) -> None:
    config = PhysMLConfig.from_dict({**CONFIG.to_dict(), **change})
    calculator = PhysMLCalculator(module(config), device="cpu")
    with pytest.raises(StructureError, match=message):
        calculator.calculate_many([copper()])
    calculator.calculate_many([molecule("H2O")])


def test_pair_parameters_are_of_molecules(metal: PhysMLCalculator) -> None:
    with pytest.raises(StructureError, match="treats molecules"):
        metal.pair_parameters(copper())


def test_a_skin_is_not_negative() -> None:
    with pytest.raises(PotentialError, match="skin"):
        PhysMLCalculator(module(), skin=-0.1)
