"""Suites that are held to known energies: what is compared, and with what."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from rdkit import Chem

from ase_physml import PhysMLCalculator
from ase_physml.cli.evaluate import _SUITES
from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.figures import picture
from ase_physml.evaluation.measure import SUITES
from ase_physml.evaluation.suite import run_suite
from ase_physml.evaluation.suites import dimers, saddles, torsions
from ase_physml.evaluation.suites.conformers import KCAL
from ase_physml.evaluation.suites.dimers import DIMERS
from ase_physml.evaluation.suites.saddles import SADDLES
from ase_physml.evaluation.suites.torsions import TORSIONS


class Squares(Calculator):
    """A meV times the square of the number of atoms; nothing moves."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012
    elements: tuple[int, ...] | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: object = None,
        system_changes: object = tuple(all_changes),
    ) -> None:
        super().calculate(atoms)
        count = len(self.atoms)
        self.results = {"energy": 1e-3 * count**2, "forces": np.zeros((count, 3))}


def test_all_suites_are_run_if_none_is_named() -> None:
    assert _SUITES.split(",") == [*SUITES]


def test_listed_torsions_are_what_their_smiles_say() -> None:
    listed = torsions._listed()
    assert len(listed) >= 9
    for entry in listed:
        heavy = Chem.MolFromSmiles(entry["smiles"])
        assert heavy is not None, entry["name"]
        (zero, *others) = entry["points"]
        assert zero["energy"] == 0 and others
        for point in entry["points"]:
            assert len(point["at"]) == len(entry["turns"])
            assert 0 <= point["energy"] < 20


def test_torsions_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (ethane,) = (one for one in torsions._listed() if one["name"] == "ethane")
    # Half way up the slope, where nothing but the constraint holds it.
    half = {"at": [30], "energy": 1.37}
    ethane = {**ethane, "points": [ethane["points"][0], half]}
    monkeypatch.setattr(torsions, "_listed", lambda: [ethane])
    candidate = Candidate("qm9.pt", PhysMLCalculator("qm9.pt"), [])
    records = run_suite(TORSIONS, candidate, tmp_path / "t.jsonl")
    assert records["ethane"]["angles"] == [180, 30]
    assert 0.2 < records["ethane"]["found"][1] < 5.0
    (row,) = TORSIONS.rows(records).values()
    off = records["ethane"]["found"][1] - 1.37
    assert row["mean error (kcal/mol)"] == pytest.approx(abs(off))
    assert row["too high by, mean (kcal/mol)"] == pytest.approx(off)
    assert row["top where it should be (%)"] == 100.0
    assert picture("torsions", {"qm9.pt": records}).startswith("data:image/png")


def test_interaction_is_what_parts_alone_do_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimers, "s22", ["Water_dimer", "Methane_dimer"])
    records = run_suite(DIMERS, Candidate("s", Squares(), []), tmp_path / "d.jsonl")
    assert len(records) == 4
    water = records["Water dimer x 1.0"]
    assert water["energy"] * KCAL == pytest.approx(1e-3 * (6**2 - 2 * 3**2))
    assert water["label"] == pytest.approx(-5.02, abs=0.05)
    assert -5.0 < records["Water dimer x 1.5"]["label"] < 0.0
    rows = DIMERS.rows(records)
    assert rows["at equilibrium"]["attracted (%)"] == 0.0
    share = rows["at equilibrium"]["of what is to be found (%)"]
    off = [r["energy"] - r["label"] for r in records.values() if r["distance"] == "1.0"]
    label = [r["label"] for r in records.values() if r["distance"] == "1.0"]
    assert share == pytest.approx(-100.0 * sum(off) / sum(label))
    assert picture("dimers", {"s": records}).startswith("data:image/png")


def test_what_a_calculator_does_not_know_is_not_asked() -> None:
    knows = Squares()
    knows.elements = (1, 6)
    cases = dict(DIMERS.cases(Candidate("s", knows, [])))
    assert "Methane dimer x 1.0" in cases and "Water dimer x 1.0" not in cases
    assert "Methane dimer x 1.0" in dict(DIMERS.cases(Candidate("s", Squares(), [])))


def test_saddles_are_searched_from_near_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def found(guess: Any, calculator: Calculator) -> list[Any]:
        asked.append(guess)
        passed = len(asked) > 1
        return [
            SimpleNamespace(
                atoms=guess.atoms,
                certificate=SimpleNamespace(
                    grade="PASS" if passed else "FAIL", reason="because"
                ),
                vibrations=SimpleNamespace(frequencies=np.array([-900.0, -20.0, 30.0])),
                evaluations=7,
                barriers=(1.0, 2.0) if passed else None,
            )
        ]

    monkeypatch.setattr(saddles, "find_saddles", found)
    candidate = Candidate("s", Squares(), [], count=2)
    records = run_suite(SADDLES, candidate, tmp_path / "s.jsonl")
    assert len(records) == 2 and all("error" not in r for r in records.values())
    for record in records.values():
        # Displaced by 0.05 Å in each direction, and aligned.
        assert 0.01 < record["away"] < 0.15
    (row,) = SADDLES.rows(records).values()
    assert row["one imaginary mode (%)"] == 100.0
    assert row["joins its ends (%)"] == 50.0
    (passed,) = (r for r in records.values() if "barrier" in r)
    off = abs(1.0 - passed["label"])
    assert row["barrier of those, MAE (eV)"] == pytest.approx(off)
    assert picture("saddles", {"s": records}).startswith("data:image/png")
