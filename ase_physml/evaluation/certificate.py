"""Verdicts on calculators: PASS, WARN or FAIL of each suite, against stated limits.

A limit is one figure of a suite's table. What is good enough is a convention; these are
near what published methods reach, and each says where it comes from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Mark = Literal["PASS", "WARN", "FAIL", ""]
Tables = Mapping[str, Mapping[str, Any]]

COLOURS: dict[Mark, str] = {
    "PASS": "green",
    "WARN": "yellow",
    "FAIL": "red",
    "": "default",
}
_ORDER: tuple[Mark, ...] = ("", "PASS", "WARN", "FAIL")
# With fewer cases a suite that goes well has shown little.
_FEW = 5
# Share of cases that may fail altogether, in a suite that is not failed for it.
_LOST = 0.1


@dataclass(frozen=True)
class Limit:
    """Limits of one figure.

    Attributes:
        row: Row of the suite's table.
        column: Column of the figure.
        passes: Value that is good enough.
        warns: Value that is good enough for a warning; beyond it the suite fails.
        why: Reason for these values.
    """

    row: str
    column: str
    passes: float
    warns: float
    why: str

    @property
    def is_lowest(self) -> bool:
        """Whether the figure must be at least so much, not at most."""
        return self.passes > self.warns

    def mark(self, value: float) -> Mark:
        """Verdict on one value."""
        sign = -1.0 if self.is_lowest else 1.0
        if sign * value <= sign * self.passes:
            return "PASS"
        return "WARN" if sign * value <= sign * self.warns else "FAIL"

    def values(self) -> tuple[str, str]:
        """Both values in words."""
        least = "≥" if self.is_lowest else "≤"
        return f"{least} {self.passes:g}", f"{least} {self.warns:g}"

    def __str__(self) -> str:
        return "{} ({})".format(*self.values())


@dataclass(frozen=True)
class Verdict:
    """Verdict on one calculator by one suite.

    Attributes:
        mark: Worst of the verdicts on its figures, "" where nothing was measured.
        cases: Number of cases that were measured.
        reasons: What is behind a WARN or a FAIL, in words.
    """

    mark: Mark
    cases: int
    reasons: list[str] = field(default_factory=list)


_REACH = "one in ten may be lost to soft modes"
LIMITS: dict[str, tuple[Limit, ...]] = {
    "structure": (
        Limit("0.1 Å", "within 0.1 Å (%)", 90.0, 75.0, _REACH),
        Limit("0.1 Å", "converged (%)", 99.0, 90.0, "a smooth surface converges"),
    ),
    "textbook": (
        Limit("textbook", "bonds within 0.02 Å (%)", 95.0, 85.0, "GFN2-xTB has 91 %"),
        Limit("textbook", "angles within 2° (%)", 95.0, 85.0, "GFN2-xTB has 97 %"),
    ),
    "conformers": (
        Limit("all that stayed", "within 1 kcal/mol (%)", 80.0, 60.0, "common DFT"),
    ),
    "assembly": (
        Limit("one group", "assembled (%)", 95.0, 80.0, "GFN2-xTB has 99 %"),
        Limit("two groups", "assembled (%)", 90.0, 75.0, "GFN2-xTB has 100 %"),
    ),
    "reaction": (
        Limit(
            "reactions",
            "barrier MAE (eV)",
            0.13,
            0.36,
            "networks trained on such paths; GFN2-xTB against CCSD(T)-F12",
        ),
        Limit(
            "reactions",
            "force at the saddle, median (eV/Å)",
            0.1,
            0.3,
            "where a saddle search starts from",
        ),
    ),
    "vibrations": (
        Limit(
            "small molecules",
            "mean error (%)",
            5.0,
            10.0,
            "common DFT is near 3, GFN2-xTB at 6",
        ),
        Limit("small molecules", "imaginary modes", 0.0, 0.0, "they are minima"),
    ),
    "torsions": (
        Limit(
            "torsions",
            "mean error (kcal/mol)",
            0.5,
            1.0,
            "1 kcal/mol is called chemical accuracy, of 5 on the average here",
        ),
        Limit(
            "torsions", "top where it should be (%)", 90.0, 70.0, "one of nine may fail"
        ),
    ),
    "saddles": (
        Limit("saddles", "one imaginary mode (%)", 90.0, 70.0, "else it is no saddle"),
        Limit(
            "saddles", "joins its ends (%)", 75.0, 50.0, "others exist beside the known"
        ),
        Limit(
            "saddles",
            "barrier of those, MAE (eV)",
            0.13,
            0.36,
            "as of the suite of reactions",
        ),
    ),
    "dimers": (
        Limit(
            "at equilibrium",
            "mean error (kcal/mol)",
            0.5,
            1.5,
            "DFT with dispersion is at 0.3 to 0.5, of 7 on the average",
        ),
        Limit("1.5 times apart", "attracted (%)", 100.0, 90.0, "all of them are"),
    ),
    "dissociation": (
        Limit(
            "curves",
            "computed throughout (%)",
            100.0,
            80.0,
            "what fails halfway ends a run",
        ),
        Limit("curves", "one well (%)", 100.0, 80.0, "others are traps"),
        Limit("curves", "repulsive close in (%)", 100.0, 90.0, "or atoms fuse"),
        Limit("curves", "flat at the end (%)", 100.0, 80.0, "nothing is left there"),
        Limit(
            "diatomics",
            "depth, mean error (%)",
            10.0,
            25.0,
            "common DFT is within 5, with open shells",
        ),
    ),
    "dynamics": (
        Limit("300 K", "worst drift (meV/atom/ps)", 1.0, 10.0, "as of common MD codes"),
        Limit(
            "1000 K", "worst drift (meV/atom/ps)", 5.0, 50.0, "the step is long there"
        ),
        Limit("300 K", "stayed whole (%)", 100.0, 90.0, "such molecules last"),
        Limit("1000 K", "stayed whole (%)", 100.0, 80.0, "nearly all last so long"),
    ),
    "smoothness": (
        Limit("scans", "repulsive close in (%)", 100.0, 90.0, "or atoms fuse"),
        Limit("scans", "one well (%)", 90.0, 70.0, "others are traps"),
        Limit("scans", "force against slope, worst", 0.01, 0.1, "forces are slopes"),
        Limit("CH4", "C-H bonds differ by (Å)", 0.002, 0.02, "equal by symmetry"),
    ),
    "extensivity": (
        Limit("30 Å apart", "worst |ΔE| (meV)", 1.0, 10.0, "nothing is left there"),
        Limit("12 Å apart", "worst |ΔE| (meV)", 20.0, 100.0, "two dipoles have 5"),
    ),
}


def verdicts(tables: Tables) -> dict[str, dict[str, Verdict]]:
    """Verdict of each suite on each candidate.

    Args:
        tables: Tables of all suites, of `measure.tables`.
    """
    return {
        suite: {name: verdict(suite, table) for name, table in by_candidate.items()}
        for suite, by_candidate in tables.items()
        if suite in LIMITS
    }


def verdict(suite: str, table: Mapping[str, Any]) -> Verdict:
    """Verdict of one suite on one candidate."""
    cases, failed = int(table["cases"]), len(table["errors"])
    marks: list[Mark] = []
    reasons: list[str] = []
    for limit in LIMITS[suite]:
        value = table["rows"].get(limit.row, {}).get(limit.column)
        if not isinstance(value, int | float):
            continue
        marks.append(limit.mark(value))
        if marks[-1] != "PASS":
            reasons.append(f"{limit.row}: {limit.column} {value:.3g}, {limit}")
    if failed:
        marks.append("FAIL" if not marks or failed > _LOST * cases else "WARN")
        reasons.append(f"{failed} of {cases} cases failed")
    if marks and cases < _FEW:
        marks.append("WARN")
        reasons.append(f"only {cases} cases")
    return Verdict(_worst(marks), cases, reasons)


def _worst(marks: Sequence[Mark]) -> Mark:
    return max(marks, key=_ORDER.index, default="")
