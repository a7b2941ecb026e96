"""Textbook suites: inner coordinates, conformers as asked for, and what counts."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes

from ase_physml.chem.bonds import bonded_pairs
from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.suite import Record, run_suite
from ase_physml.evaluation.suites import conformers, textbook
from ase_physml.evaluation.suites.conformers import CONFORMERS, conformer, strayed
from ase_physml.evaluation.suites.textbook import TEXTBOOK, right, shape_of


class Still(Calculator):
    """Nothing moves; the energy is what a function says of the structure."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: object = None,
        system_changes: object = tuple(all_changes),
    ) -> None:
        super().calculate(atoms)
        angle = self.atoms.get_dihedral(0, 1, 2, 3) if len(self.atoms) > 3 else 0.0
        energy = conformers.KCAL * (1.0 - np.cos(np.radians(angle - 180.0)))
        self.results = {"energy": energy, "forces": np.zeros((len(self.atoms), 3))}


def test_shape_of_a_puckered_ring() -> None:
    benzene = molecule("C6H6")
    bonds = sorted(bonded_pairs(benzene))
    flat = shape_of(benzene, bonds)
    assert flat.height < 1e-6
    assert len(flat.lengths) == 12
    np.testing.assert_allclose(flat.angles, 120.0, atol=0.1)
    boat = benzene.copy()
    boat.positions[0, 2] += 0.3
    puckered = shape_of(boat, bonds)
    assert 0.1 < puckered.height < 0.3
    assert np.abs(puckered.angles - 120.0).max() > 1.0


@pytest.mark.parametrize(
    ("changed", "whether"),
    [
        ({}, True),
        ({"length": 0.03}, False),
        ({"angle": 3.0}, False),
        ({"height": 0.03}, False),
    ],
)
def test_limits(changed: Record, whether: bool) -> None:
    assert right({"length": 0.01, "angle": 1.0, **changed}) is whether


def test_rattled_molecules_that_stay_are_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("C2H6", "C6H6")
    monkeypatch.setattr(textbook, "NAMES", names)
    candidate = Candidate("still", Still(), [])
    records = run_suite(TEXTBOOK, candidate, tmp_path / "t.jsonl")
    assert set(records) == set(names)
    (row,) = TEXTBOOK.rows(records).values()
    assert row["all within limits (%)"] == 0.0
    assert row["worst"] in ("C2H6, C6H6", "C6H6, C2H6")
    monkeypatch.setattr(textbook, "RATTLE", 0.0)
    records = run_suite(TEXTBOOK, candidate, tmp_path / "u.jsonl")
    (row,) = TEXTBOOK.rows(records).values()
    assert row["all within limits (%)"] == 100.0
    assert row["flat within 0.02 Å (%)"] == 100.0
    assert row["bonds, mean error (Å)"] < 1e-9


def test_conformers_are_those_asked_for() -> None:
    angles = {(0, 1, 2, 3): 65.0}
    assert strayed(conformer("CCCC", angles), angles) < 2.0
    # The near side of a full turn.
    assert strayed(conformer("CCCC", {(0, 1, 2, 3): 180.0}), {(0, 1, 2, 3): -179.0}) < 3


def test_differences_of_conformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [
        one for one in conformers._listed() if one["name"] in ("butane", "ethanol")
    ]
    monkeypatch.setattr(conformers, "_listed", lambda: pairs)
    candidate = Candidate("still", Still(), [])
    records = run_suite(CONFORMERS, candidate, tmp_path / "c.jsonl")
    rows = CONFORMERS.rows(records)
    # 1 - cos of the turn from 180 degrees, in kcal/mol.
    assert rows["butane"]["found (kcal/mol)"] == pytest.approx(
        1.0 - np.cos(np.radians(115.0)), abs=0.05
    )
    assert rows["all that stayed"]["pairs"] == 2
    records["butane"]["strayed"] = 90.0
    assert CONFORMERS.rows(records)["all that stayed"]["pairs"] == 1
