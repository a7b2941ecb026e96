"""Verdicts: limits from both sides, few cases, lost cases, and what they are of."""

from typing import Any

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

from ase_physml.evaluation.candidate import Candidate, Molecule
from ase_physml.evaluation.canvas import plain_texts, plain_ticks
from ase_physml.evaluation.certificate import LIMITS, Limit, verdict, verdicts
from ase_physml.evaluation.figures import DRAWN, picture, said
from ase_physml.evaluation.measure import SUITES
from ase_physml.evaluation.suites.extensivity import APART, EXTENSIVITY
from ase_physml.evaluation.suites.frequencies import REFERENCE, VIBRATIONS


def table(rows: dict[str, Any], cases: int = 20, failed: int = 0) -> dict[str, Any]:
    errors = {str(k): "Error" for k in range(failed)}
    return {"rows": rows, "cases": cases, "errors": errors}


def assembled(one: float, two: float) -> dict[str, Any]:
    shares = {"one group": one, "two groups": two}
    return {row: {"assembled (%)": share} for row, share in shares.items()}


@pytest.mark.parametrize(
    ("value", "mark"), [(95.0, "PASS"), (94.9, "WARN"), (80.0, "WARN"), (79.9, "FAIL")]
)
def test_at_least_so_much(value: float, mark: str) -> None:
    assert Limit("", "", 95.0, 80.0, "").mark(value) == mark


@pytest.mark.parametrize(
    ("value", "mark"), [(0.1, "PASS"), (0.11, "WARN"), (0.3, "WARN"), (0.31, "FAIL")]
)
def test_at_most_so_much(value: float, mark: str) -> None:
    limit = Limit("", "", 0.1, 0.3, "")
    assert limit.mark(value) == mark and str(limit) == "≤ 0.1 (≤ 0.3)"


def test_the_worst_of_all_figures_counts() -> None:
    assert verdict("assembly", table(assembled(99.0, 99.0))).mark == "PASS"
    found = verdict("assembly", table(assembled(99.0, 80.0)))
    assert found.mark == "WARN" and found.cases == 20
    assert found.reasons == ["two groups: assembled (%) 80, ≥ 90 (≥ 75)"]
    assert verdict("assembly", table(assembled(10.0, 80.0))).mark == "FAIL"


def test_few_and_lost_cases_are_no_pass() -> None:
    rows = assembled(100.0, 100.0)
    assert verdict("assembly", table(rows, cases=4)).mark == "WARN"
    assert verdict("assembly", table(rows, cases=20, failed=2)).mark == "WARN"
    assert verdict("assembly", table(rows, cases=20, failed=3)).mark == "FAIL"
    assert verdict("assembly", table({}, cases=1, failed=1)).mark == "FAIL"
    assert verdict("assembly", table({}, cases=0)).mark == ""


def test_limits_are_of_figures_that_suites_have() -> None:
    assert LIMITS.keys() <= SUITES.keys() and DRAWN.keys() == SUITES.keys()
    for name, limits in LIMITS.items():
        for limit in limits:
            better = SUITES[name].better.get(limit.column)
            assert better == ("high" if limit.is_lowest else "low") or better is None
    assert not verdicts({"masked": {"emt": table({})}})


class Attraction(Calculator):
    """Energy of an atom each, and 1 eV/Å of the distance of the farthest two."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = None,
        system_changes: Any = tuple(all_changes),
    ) -> None:
        super().calculate(atoms)
        reach = float(self.atoms.get_all_distances().max())
        energy = len(self.atoms) + (reach - 20.0 if reach > 20.0 else 0.0)
        self.results = {"energy": energy, "forces": np.zeros((len(self.atoms), 3))}


def test_what_is_left_of_two_apart() -> None:
    molecules = [Molecule(name, molecule(name)) for name in ("H2O", "CH4", "NH3")]
    candidate = Candidate("attraction", Attraction(), molecules)
    records = {key: measure() for key, measure in EXTENSIVITY.cases(candidate)}
    assert [*records] == ["H2O and CH4", "CH4 and NH3", "NH3 and H2O"]
    for record in records.values():
        near, *_, far = record["left"]
        assert near == pytest.approx(0.0, abs=1e-9) and far > APART[-1] - 20.0
    rows = EXTENSIVITY.rows(records)
    assert float(rows["8 Å apart"]["worst |ΔE| (meV)"]) < 1e-6
    found = {"rows": rows, "cases": len(records), "errors": {}}
    assert verdict("extensivity", found).mark == "FAIL"
    found_by = {"attraction": records}
    assert picture("extensivity", found_by).startswith("data:image/png")
    with plain_texts():
        figure = DRAWN["extensivity"](found_by)
        plain_ticks(figure)
        figure.canvas.draw()
        # Powers of ten are formulas, which plain texts would show with all their signs.
        labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert any(labels) and not any("$" in label for label in labels)


def test_every_picture_has_words() -> None:
    for suite in DRAWN:
        assert len(said(suite)) > 20


def test_frequencies_are_compared_mode_by_mode() -> None:
    candidate = Candidate("emt", EMT(), [])
    cases = dict(VIBRATIONS.cases(candidate))
    assert cases.keys() == REFERENCE.keys()
    record = cases["H2O"]()
    assert len(record["found"]) == len(record["label"]) == 3
    label = record["label"]
    off = {"found": [1.1 * label[0], label[1], -label[2]], "label": label}
    (row,) = VIBRATIONS.rows({"H2O": off, "lost": {"error": "x"}}).values()
    assert row["mean error (%)"] == pytest.approx((10.0 + 0.0 + 200.0) / 3)
    assert row["imaginary modes"] == 1 and row["molecules"] == 1
    assert picture("vibrations", {"emt": {"H2O": record}}).startswith("data:image/png")
