"""All suites of one or several calculators, with a journal to go on from."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ase_physml.errors import PhysMLError
from ase_physml.evaluation.candidate import Candidate
from ase_physml.evaluation.suite import Record, Suite, run_suite
from ase_physml.evaluation.suites.assembly import ASSEMBLY
from ase_physml.evaluation.suites.barriers import REACTION
from ase_physml.evaluation.suites.conformers import CONFORMERS
from ase_physml.evaluation.suites.dimers import DIMERS
from ase_physml.evaluation.suites.dissociation import DISSOCIATION
from ase_physml.evaluation.suites.dynamics import DYNAMICS
from ase_physml.evaluation.suites.extensivity import EXTENSIVITY
from ase_physml.evaluation.suites.frequencies import VIBRATIONS
from ase_physml.evaluation.suites.masked import MASKED
from ase_physml.evaluation.suites.saddles import SADDLES
from ase_physml.evaluation.suites.smoothness import SMOOTHNESS
from ase_physml.evaluation.suites.structure import STRUCTURE
from ase_physml.evaluation.suites.textbook import TEXTBOOK
from ase_physml.evaluation.suites.torsions import TORSIONS
from ase_physml.jobs.pool import Workers

SUITES = {
    suite.name: suite
    for suite in (
        STRUCTURE, TEXTBOOK, CONFORMERS, TORSIONS, VIBRATIONS, ASSEMBLY, REACTION,
        SADDLES, DIMERS, DISSOCIATION, DYNAMICS, SMOOTHNESS, EXTENSIVITY, MASKED,
    )
}  # fmt: skip

Found = dict[str, dict[str, dict[str, Record]]]
OnCase = Callable[[str, str, int, int], None]


def evaluate(
    candidates: Sequence[Candidate],
    suites: Sequence[str],
    folder: Path,
    on_case: OnCase | None = None,
    workers: Workers | None = None,
) -> Found:
    """Measure, or go on with what a run that was killed had measured.

    Args:
        candidates: Calculators to measure.
        suites: Names of suites.
        folder: Folder of journals; those of other settings must not lie there.
        on_case: Called with candidate, suite, number of cases done and of all.
        workers: Workers to measure elsewhere, such as `DaskWorkers`.

    Returns:
        Records by suite, candidate and case.

    Raises:
        PhysMLError: No such suite.
    """
    check_suites(suites)
    found: Found = {}
    for suite in suites:
        for candidate in candidates:
            report = _report(on_case, candidate.name, suite)
            place = journal(folder, candidate, suite)
            records = run_suite(SUITES[suite], candidate, place, report, workers)
            found.setdefault(suite, {})[candidate.name] = records
    return found


def check_suites(names: Sequence[str]) -> None:
    """Refuse names that are no suites.

    Raises:
        PhysMLError: No such suite.
    """
    unknown = set(names) - set(SUITES)
    if unknown:
        raise PhysMLError(
            f"no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}"
        )


def journal(folder: Path, candidate: Candidate, suite: str) -> Path:
    """Journal of the cases of one candidate and suite."""
    return folder / f"{safe(candidate.name)}.{suite}.jsonl"


def _report(
    on_case: OnCase | None, candidate: str, suite: str
) -> Callable[[int, int], None] | None:
    if on_case is None:
        return None
    return lambda done, total: on_case(candidate, suite, done, total)


def tables(found: Found) -> dict[str, dict[str, Any]]:
    """Rows of every suite and candidate, and what went wrong."""
    result: dict[str, dict[str, Any]] = {}
    for name, by_candidate in found.items():
        suite: Suite = SUITES[name]
        result[name] = {
            candidate: {
                "rows": suite.rows(records),
                "cases": len(records),
                "errors": {k: r["error"] for k, r in records.items() if "error" in r},
            }
            for candidate, records in by_candidate.items()
        }
    return result


def safe(name: str) -> str:
    """Name of a file out of that of a calculator."""
    return "".join(c if c.isalnum() or c in "-._" else "_" for c in name).strip(".")
