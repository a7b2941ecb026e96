"""Curves: bonds that are pulled, runs at constant energy, points that fail."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes

from ase_physml.evaluation.candidate import Candidate, Molecule
from ase_physml.evaluation.certificate import verdict
from ase_physml.evaluation.figures import picture
from ase_physml.evaluation.suite import run_suite
from ase_physml.evaluation.suites import dissociation, dynamics
from ase_physml.evaluation.suites.dissociation import DISSOCIATION, atomization
from ase_physml.evaluation.suites.dynamics import DYNAMICS
from ase_physml.evaluation.suites.scans import scan


class Pairs(Calculator):
    """A Morse well for every pair of atoms, where it lies in a reference structure."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012
    depth, width = 4.0, 2.0  # eV, 1/Å
    elements = (1, 6, 7, 8)

    def __init__(self, *references: Atoms) -> None:
        super().__init__()
        self.lengths = {str(a.symbols): a.get_all_distances() for a in references}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: object = None,
        system_changes: object = tuple(all_changes),
    ) -> None:
        super().calculate(atoms)
        rest = self.lengths[str(self.atoms.symbols)]
        vectors = self.atoms.get_all_distances(vector=True)
        now = np.linalg.norm(vectors, axis=2) + np.eye(len(rest))
        near = np.exp(-self.width * (now - rest)) * (1.0 - np.eye(len(rest)))
        slopes = 2.0 * self.depth * self.width * (1.0 - near) * near
        self.results = {
            "energy": 0.5 * float((self.depth * ((1.0 - near) ** 2 - 1.0)).sum()),
            "forces": (vectors * (slopes / now)[..., None]).sum(axis=1),
        }


class Fails(Pairs):
    """Cannot be computed where atoms are far from each other."""

    def calculate(self, *arguments: Any, **options: Any) -> None:
        super().calculate(*arguments, **options)
        if self.atoms.get_all_distances().max() > 3.0:
            raise CalculationFailed("not converged")


@pytest.fixture
def nitrogen(monkeypatch: pytest.MonkeyPatch) -> Atoms:
    monkeypatch.setattr(dissociation, "DIATOMICS", ("N2", "F2"))
    monkeypatch.setattr(dissociation, "BONDS", {})
    return molecule("N2")


def test_energies_of_atomization_of_experiment() -> None:
    # W4 theory, kcal/mol: N2 228.5, H2 109.5, CO 259.7.
    kcal = dissociation.KCAL
    found = [atomization(name) / kcal for name in ("N2", "H2", "CO")]
    assert found == pytest.approx([228.5, 109.5, 259.7], abs=0.5)


def test_a_bond_that_is_pulled(nitrogen: Atoms, tmp_path: Path) -> None:
    candidate = Candidate("pairs", Pairs(nitrogen), [])
    records = run_suite(DISSOCIATION, candidate, tmp_path / "d.jsonl")
    # Fluorine is none of the elements that it says it knows.
    assert [*records] == ["N2"]
    rows = DISSOCIATION.rows(records)
    assert records["N2"]["depth"] == pytest.approx(4.0, abs=0.05)
    assert rows["diatomics"]["depth, mean error (%)"] == pytest.approx(59.6, abs=0.5)
    for column in ("computed throughout (%)", "one well (%)", "flat at the end (%)"):
        assert rows["curves"][column] == 100.0
    assert rows["curves"]["bound (%)"] == 100.0
    assert picture("dissociation", {"p": records}).startswith("data:image/png")


def test_points_that_fail_are_not_the_whole_curve(
    nitrogen: Atoms, tmp_path: Path
) -> None:
    candidate = Candidate("fails", Fails(nitrogen), [])
    records = run_suite(DISSOCIATION, candidate, tmp_path / "d.jsonl")
    record = records["N2"]
    assert record["missing"] > 50 and len(record["energies"]) > 10
    assert record["wells"] == 1 and not record["flat"]
    rows = DISSOCIATION.rows(records)
    assert rows["curves"]["computed throughout (%)"] == 0.0
    assert "diatomics" not in rows
    table = {"rows": rows, "cases": 20, "errors": {}}
    assert verdict("dissociation", table).mark == "FAIL"


def test_a_scan_of_which_nothing_can_be_computed_fails(nitrogen: Atoms) -> None:
    candidate = Candidate("fails", Fails(nitrogen), [])
    axis = np.array([0.0, 0.0, 1.0])
    with pytest.raises(CalculationFailed, match="not converged"):
        scan(candidate, nitrogen, [0], axis, np.array([5.0, 6.0]))


def run(calculator: Calculator, path: Path) -> dict[str, Any]:
    ethanol = Molecule("ethanol", molecule("CH3CH2OH"))
    candidate = Candidate("one", calculator, [ethanol])
    records = run_suite(DYNAMICS, candidate, path)
    assert [*records] == ["ethanol at 300 K", "ethanol at 1000 K"]
    assert picture("dynamics", {"one": records}).startswith("data:image/png")
    return DYNAMICS.rows(records)


def test_energy_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamics, "STEPS", 300)
    rows = run(Pairs(molecule("CH3CH2OH")), tmp_path / "d.jsonl")
    assert rows["300 K"]["worst drift (meV/atom/ps)"] < 5.0
    assert rows["300 K"]["stayed whole (%)"] == 100.0


def test_forces_that_are_no_slopes_make_energy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(Pairs):
        def calculate(self, *arguments: Any, **options: Any) -> None:
            super().calculate(*arguments, **options)
            self.results["energy"] *= -1.0

    monkeypatch.setattr(dynamics, "STEPS", 300)
    rows = run(Wrong(molecule("CH3CH2OH")), tmp_path / "d.jsonl")
    assert rows["300 K"]["fluctuation, mean (meV/atom)"] > 5.0


def test_what_flies_apart_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Free(Pairs):
        depth = 1e-6

    monkeypatch.setattr(dynamics, "STEPS", 300)
    rows = run(Free(molecule("CH3CH2OH")), tmp_path / "d.jsonl")
    assert rows["1000 K"]["stayed whole (%)"] == 0.0
