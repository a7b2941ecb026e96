"""Many relaxations at once are the same relaxations."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read

from ase_physml import PhysMLCalculator, relax_many
from ase_physml.calculators.batch_evaluator import BatchEvaluator
from ase_physml.errors import PotentialError, StructureError
from ase_physml.workflows.relax import Relaxed, relax

NAMES = ["H2O", "CH4", "CH3OH", "NH3", "C2H4", "CH3CH2OH"]


@pytest.fixture
def calculator(tiny_potential: Path) -> PhysMLCalculator:
    return PhysMLCalculator(tiny_potential, device="cpu")


@pytest.fixture
def structures() -> list[Atoms]:
    found = [molecule(name) for name in NAMES]
    for seed, atoms in enumerate(found):
        atoms.rattle(0.1, seed=seed)
    return found


@pytest.mark.parametrize("optimizer", ["BFGS", "LBFGS", "FIRE"])
@pytest.mark.parametrize("batch_size", [2, 100])
def test_equals_one_by_one(
    calculator: PhysMLCalculator,
    structures: list[Atoms],
    optimizer: str,
    batch_size: int,
) -> None:
    starts = [atoms.positions.copy() for atoms in structures]
    settings = {"optimizer": optimizer, "fmax": 0.05, "steps": 15}
    together = relax_many(structures, calculator, batch_size=batch_size, **settings)
    for atoms, start, many in zip(structures, starts, together, strict=True):
        np.testing.assert_array_equal(atoms.positions, start)
        atoms.calc = calculator
        one = relax(atoms, **settings)
        assert isinstance(many, Relaxed)
        assert (many.steps, many.converged) == (one.steps, one.converged)
        np.testing.assert_allclose(many.energies, one.energies, atol=1e-8)
        np.testing.assert_allclose(many.atoms.positions, one.atoms.positions, atol=1e-6)


def test_every_force_comes_from_a_batch(
    calculator: PhysMLCalculator, structures: list[Atoms]
) -> None:
    done = relax_many(structures, calculator, fmax=1e-9, steps=4)
    # The start and four steps: five batches, and no structure computed alone.
    assert calculator.evaluations == 5
    assert all(one.atoms.calc.evaluations == 0 for one in done)


def test_refused_and_broken_structures_leave_the_others(
    calculator: PhysMLCalculator, structures: list[Atoms]
) -> None:
    charged = molecule("H2O")
    charged.info["charge"] = 1
    mixed = [structures[0], molecule("SiH4"), charged, structures[1]]
    seen: list[int] = []
    done = relax_many(
        mixed, calculator, steps=2, on_done=lambda index, _outcome: seen.append(index)
    )
    assert isinstance(done[0], Relaxed) and isinstance(done[3], Relaxed)
    assert isinstance(done[1], StructureError) and "Si" in str(done[1])
    assert isinstance(done[2], StructureError) and "charge" in str(done[2])
    assert sorted(seen) == [0, 1, 2, 3]


def test_structures_that_collapse_on_the_way(
    calculator: PhysMLCalculator,
    structures: list[Atoms],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    check = PhysMLCalculator._check

    def strict(self: PhysMLCalculator, atoms: Atoms, distances: bool = True) -> None:
        check(self, atoms, distances)
        if len(atoms) == 5 and self.evaluations > 1:
            raise StructureError("atoms coincide")

    monkeypatch.setattr(PhysMLCalculator, "_check", strict)
    paths = [tmp_path / f"{i}.traj" for i in range(3)]
    done = relax_many(structures[:3], calculator, steps=5, trajectories=paths)
    assert [type(one) for one in done] == [Relaxed, StructureError, Relaxed]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.traj", "2.traj"]


def test_trajectories_hold_every_step(
    calculator: PhysMLCalculator, structures: list[Atoms], tmp_path: Path
) -> None:
    paths = [tmp_path / f"{i}.traj" for i in range(len(structures))]
    done = relax_many(structures, calculator, steps=3, trajectories=paths)
    for path, one in zip(paths, done, strict=True):
        assert isinstance(one, Relaxed)
        frames = read(path, ":")
        energies = [frame.get_potential_energy() for frame in frames]
        np.testing.assert_allclose(energies, one.energies)


def test_an_interrupted_run_goes_on_to_the_same_end(
    calculator: PhysMLCalculator, structures: list[Atoms], tmp_path: Path
) -> None:
    def interrupt(index: int, step: int, _force: float) -> None:
        if index == 1 and step == 3:
            raise KeyboardInterrupt

    paths = [tmp_path / f"{i}.traj" for i in range(len(structures))]
    settings = {"fmax": 1e-6, "steps": 6, "trajectories": paths}
    with pytest.raises(KeyboardInterrupt):
        relax_many(structures, calculator, on_step=interrupt, **settings)
    assert len(list(tmp_path.glob("*.part"))) == len(structures)
    before = calculator.evaluations
    resumed = relax_many(structures, calculator, resume=True, **settings)
    # Steps 0 to 2 were done of all; 3 to 6 are left.
    assert calculator.evaluations - before == 4
    whole = relax_many(structures, calculator, fmax=1e-6, steps=6)
    for one, other in zip(resumed, whole, strict=True):
        assert isinstance(one, Relaxed) and isinstance(other, Relaxed)
        np.testing.assert_allclose(one.energies, other.energies, atol=1e-9)


def test_constraints_are_kept(
    calculator: PhysMLCalculator, structures: list[Atoms]
) -> None:
    structures[2].set_constraint(FixAtoms([0, 1]))
    (done,) = relax_many([structures[2]], calculator, steps=5)
    assert isinstance(done, Relaxed)
    shift = np.abs(done.atoms.positions - structures[2].positions).max(axis=1)
    assert (shift[:2] == 0.0).all() and (shift[2:] > 0.0).all()


def test_any_calculator_of_ase_will_do() -> None:
    metals = [Atoms("Cu2", [[0, 0, 0], [0, 0, 2.0 + 0.2 * i]]) for i in range(3)]
    done = relax_many(metals, EMT(), fmax=0.01, steps=50)
    assert all(isinstance(one, Relaxed) and one.converged for one in done)
    lengths = [one.atoms.get_distance(0, 1) for one in done]
    assert max(lengths) - min(lengths) < 0.01


def test_batches_shrink_when_memory_runs_out(
    calculator: PhysMLCalculator,
    structures: list[Atoms],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = calculator.calculate_many
    sizes: list[int] = []

    def scarce(some: list[Atoms]) -> object:
        sizes.append(len(some))
        if len(some) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(some)

    monkeypatch.setattr(calculator, "calculate_many", scarce)
    evaluate = BatchEvaluator(calculator, batch_size=6)
    for atoms in structures:
        evaluate.attach(atoms)
    evaluate(structures)
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]
    assert all(atoms.calc.results for atoms in structures)
    monkeypatch.setattr(calculator, "calculate_many", _full)
    with pytest.raises(MemoryError, match="one structure alone"):
        evaluate(structures)


def _full(_some: list[Atoms]) -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")


def test_settings_are_checked(calculator: PhysMLCalculator) -> None:
    with pytest.raises(StructureError, match="fmax"):
        relax_many([], calculator, fmax=0.0)
    with pytest.raises(StructureError, match="batch_size"):
        relax_many([], calculator, batch_size=0)
    assert relax_many([], calculator) == []


def test_a_name_a_lone_structure_and_what_is_no_structure(
    tiny_potential: Path, structures: list[Atoms]
) -> None:
    (alone,) = relax_many(structures[0], str(tiny_potential), steps=1)
    assert isinstance(alone, Relaxed)
    given = [structures[0], structures[1:3], "CCO"]
    done = relax_many(given, tiny_potential, steps=1)
    assert isinstance(done[0], Relaxed)
    assert "structure 1 is not an ase.Atoms but a list of 2" in str(done[1])
    assert "structure 2 is not an ase.Atoms but a str" in str(done[2])
    with pytest.raises(PotentialError, match="no calculator"):
        relax_many(structures, 3)


class Frail(EMT):
    """Refuses some structures, and counts what it computes."""

    computed = 0

    def calculate(self, atoms: Atoms, *arguments: object) -> None:
        if len(atoms) == 3:
            raise RuntimeError("three atoms are too many")
        Frail.computed += 1
        super().calculate(atoms, *arguments)


def test_one_that_fails_costs_the_others_nothing() -> None:
    Frail.computed = 0
    metals = [
        Atoms(f"Cu{n}", [[0, 0, 2.3 * k] for k in range(n)]) for n in (2, 4, 3, 2)
    ]
    done = relax_many(metals, Frail(), steps=0)
    assert [type(one) for one in done] == [Relaxed, Relaxed, RuntimeError, Relaxed]
    assert Frail.computed == 3
    # Each keeps its own results, though one calculator computed them all.
    assert [one.atoms.get_potential_energy() for one in done if one is not done[2]] == [
        one.energies[-1] for one in done if one is not done[2]
    ]
    assert Frail.computed == 3
