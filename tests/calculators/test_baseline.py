"""A potential on a baseline is the sum of both, in every way that it is asked."""

import copy
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces

from ase_physml import PhysMLCalculator, relax_many
from ase_physml.calculators import baseline
from ase_physml.calculators.baseline import Baseline
from ase_physml.errors import PotentialError, StructureError
from ase_physml.store.checkpoint import load_potentials, save_model


def on_baseline(potential: Path, out: Path, baseline: str) -> Path:
    members, card = load_potentials(potential)
    save_model(out, members, replace(card, baseline=baseline))
    return out


@pytest.fixture
def corrected(tiny_potential: Path, tmp_path: Path) -> Path:
    """The small potential as a correction to ASE's EMT, which knows H, C, N and O."""
    return on_baseline(tiny_potential, tmp_path / "corrected.pt", "emt")


def structures() -> list[Atoms]:
    found = [molecule(name) for name in ("CH3CH2OH", "HCN", "CH3CHO", "CH3CH2OH")]
    for seed, atoms in enumerate(found):
        atoms.rattle(0.05, seed=seed)
    return found


def test_energy_and_forces_are_sums(corrected: Path, tiny_potential: Path) -> None:
    both, alone = PhysMLCalculator(corrected), PhysMLCalculator(tiny_potential)
    for atoms in structures():
        for name in ("energy", "free_energy", "forces", "energies"):
            expected = EMT().get_property(name, atoms) + alone.get_property(name, atoms)
            np.testing.assert_allclose(
                both.get_property(name, atoms), expected, atol=1e-9
            )


def test_forces_are_those_of_the_energy(corrected: Path) -> None:
    atoms = structures()[1]
    atoms.calc = PhysMLCalculator(corrected)
    slope = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(atoms.get_forces(), slope, atol=1e-5)


def test_many_are_as_each(corrected: Path) -> None:
    calculator = PhysMLCalculator(corrected)
    together = calculator.calculate_many(structures())
    for atoms, found in zip(structures(), together, strict=True):
        atoms.calc = PhysMLCalculator(corrected)
        assert found["energy"] == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
        np.testing.assert_allclose(found["forces"], atoms.get_forces(), atol=1e-9)


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))],
)
def test_copies_keep_the_baseline(corrected: Path, duplicate: object) -> None:
    calculator = PhysMLCalculator(corrected)
    atoms = structures()[0]
    expected = calculator.get_property("energy", atoms)
    other = duplicate(calculator)  # type: ignore[operator]
    assert other.baseline is not calculator.baseline
    other.reset()
    assert other.get_property("energy", atoms) == pytest.approx(expected, abs=1e-12)


def test_a_committee_parts_in_its_corrections_only(
    tiny_committee: Path, tmp_path: Path
) -> None:
    path = on_baseline(tiny_committee, tmp_path / "corrected.pt", "emt")
    both, alone = PhysMLCalculator(path), PhysMLCalculator(tiny_committee)
    atoms = structures()[0]
    base = EMT().get_property("energy", atoms)
    (one,), (other,) = both.calculate_many([atoms]), alone.calculate_many([atoms])
    assert one["energy_std"] == pytest.approx(other["energy_std"])
    np.testing.assert_allclose(one["forces_std"], other["forces_std"])
    np.testing.assert_allclose(one["energy_members"], other["energy_members"] + base)


def test_stress_is_a_sum(corrected: Path, tiny_potential: Path) -> None:
    cell = bulk("C", "diamond", a=3.8)
    cell.rattle(0.05, seed=0)
    both, alone = PhysMLCalculator(corrected), PhysMLCalculator(tiny_potential)
    expected = EMT().get_property("stress", cell) + alone.get_property("stress", cell)
    np.testing.assert_allclose(both.get_property("stress", cell), expected, atol=1e-9)


def test_charges_and_dipole_are_the_baselines(
    tiny_potential: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "data")
    name = "toy_calculators:Charged"
    path = on_baseline(tiny_potential, tmp_path / "corrected.pt", name)
    atoms = molecule("CH4")
    atoms.calc = PhysMLCalculator(path)
    assert {"charges", "dipole"} <= set(atoms.calc.implemented_properties)
    # It has neither of these, and no sum can be made of one term.
    assert not {"energies", "stress"} & set(atoms.calc.implemented_properties)
    assert atoms.get_charges().sum() == pytest.approx(0.0, abs=1e-12)
    assert "energies" not in atoms.calc.results


def test_what_a_structure_says_of_charges_stays_outside(corrected: Path) -> None:
    """Rounded charges would make an ion of it for a baseline that reads them."""
    atoms = structures()[0]
    atoms.set_initial_charges(np.full(len(atoms), 1e-4))
    seen: list[Atoms] = []

    class Watched(EMT):
        def calculate(self, atoms: Atoms, *args: object) -> None:
            seen.append(atoms)
            super().calculate(atoms, *args)

    calculator = PhysMLCalculator(corrected)
    assert calculator.baseline is not None
    calculator.baseline._one = Watched()
    calculator.get_property("energy", atoms)
    assert not any(one.get_initial_charges().any() for one in seen)


def test_relaxations_go_downhill_on_the_sum(corrected: Path) -> None:
    starts = structures()[:2]
    calculator = PhysMLCalculator(corrected)
    before = [r["energy"] for r in calculator.calculate_many(starts)]
    done = relax_many(starts, calculator, steps=3)
    for start, outcome in zip(before, done, strict=True):
        assert not isinstance(outcome, Exception)
        assert outcome.atoms.get_potential_energy() < start


def test_a_failing_baseline_is_named(
    tiny_potential: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "data")
    path = on_baseline(tiny_potential, tmp_path / "c.pt", "toy_calculators:Spring")
    with pytest.raises(StructureError, match=r"Spring, .* H2O: no oxygen, please"):
        PhysMLCalculator(path).get_property("energy", molecule("H2O"))


def test_a_missing_package_says_what_to_install(
    tiny_potential: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = on_baseline(tiny_potential, tmp_path / "c.pt", "tblite:GFN2-xTB")
    monkeypatch.setitem(sys.modules, "tblite.ase", None)
    with pytest.raises(PotentialError, match=r"pip install 'ase-physml\[xtb\]'"):
        PhysMLCalculator(path)


def test_members_on_different_baselines_are_refused(
    corrected: Path, tiny_potential: Path
) -> None:
    with pytest.raises(PotentialError, match=r"corrects emt and .* nothing"):
        PhysMLCalculator([corrected, tiny_potential])


def test_threads_keep_their_calculators(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def make(name: str) -> EMT:
        built.append(name)
        return EMT()

    monkeypatch.setattr(baseline, "make_calculator", make)
    monkeypatch.setattr(baseline.torch, "get_num_threads", lambda: 2)
    many = Baseline("emt")
    for _ in range(3):
        many.evaluate(structures(), stress=False)
    # The one for lone structures, and at most one a thread.
    assert 2 <= len(built) <= 3


def test_gfn2_xtb_in_threads_is_as_alone() -> None:
    together = Baseline("tblite:GFN2-xTB").evaluate(structures(), stress=False)
    for atoms, found in zip(structures(), together, strict=True):
        (alone,) = Baseline("tblite:GFN2-xTB").evaluate([atoms], stress=False)
        # Equal as far as its charges are converged.
        assert found["energy"] == pytest.approx(alone["energy"], abs=1e-4)
        np.testing.assert_allclose(found["forces"], alone["forces"], atol=1e-3)
