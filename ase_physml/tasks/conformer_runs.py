"""Conformers of many molecules: in processes, resumable, failures listed.

The input is cut into slabs. What a slab gives goes to ``OUT.partial/`` as soon as it is
there, and the file is put together at the end: it is the same however often the work
was interrupted and whatever the number of processes.
"""

import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ase_physml.calculators.byname import make_calculator
from ase_physml.data.label import Failure, list_failures
from ase_physml.data.locking import lock
from ase_physml.data.workers import run_all
from ase_physml.errors import DataError, PhysMLError
from ase_physml.tasks.conformer_ensemble import Settings
from ase_physml.tasks.conformer_files import check_kind, join, write_conformers
from ase_physml.tasks.conformer_targets import DistanceModel
from ase_physml.tasks.conformers import Conformers, conformers_of

# Molecules predicted and relaxed together; few enough that all processes have work.
_SLAB = 16
_SLABS = 8


class Named(NamedTuple):
    """A line of the input."""

    name: str
    smiles: str


@dataclass(frozen=True)
class Row:
    """What became of a molecule.

    Attributes:
        index: In the input.
        name: Of the molecule.
        formula: With hydrogens.
        count: Conformers.
        energy: Lowest, eV, if relaxed.
        spread: Highest above it, eV, if relaxed.
        weight: Boltzmann weight of the first, if relaxed.
        error: Of the first one's distances from the prediction, Å.
        dropped: Why conformers were left out.
    """

    index: int
    name: str
    formula: str
    count: int
    energy: float | None
    spread: float | None
    weight: float | None
    error: float
    dropped: list[str]


@dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes:
        rows: Of the molecules that have conformers.
        failures: Of the others, also listed in ``OUT.failures.csv``.
    """

    rows: list[Row]
    failures: list[Failure]


def read_molecules(inputs: Sequence[str]) -> list[Named]:
    """SMILES as they are, and lines ``SMILES name`` of files.

    Raises:
        DataError: A file that is no text, or nothing in all of them.
    """
    found: list[Named] = []
    for text in inputs:
        path = Path(text)
        if not path.is_file():
            found.append(Named(text, text))
            continue
        try:
            lines = path.read_text("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not a text file of SMILES") from error
        for line in filter(None, map(str.strip, lines)):
            smiles, *rest = line.split(maxsplit=1)
            found.append(Named(rest[0] if rest else smiles, smiles))
    if not found:
        raise DataError(f"{', '.join(inputs)}: no molecules; give SMILES")
    return found


def run_conformers(
    molecules: Sequence[Named],
    out: Path,
    model: str,
    relax: str | None,
    settings: Settings,
    *,
    processes: int = 1,
    resume: bool = False,
    on_molecules: Callable[[int], None] | None = None,
) -> Report:
    """Make conformers of all molecules and write one file.

    Args:
        molecules: Any number.
        out: See `write_conformers`; replaced if it exists. Not written if there is not
            one conformer.
        model: As of `generate_conformers`, as is ``relax``.
        relax: Name of a calculator, or None.
        settings: Of each molecule.
        processes: 1 works here. More need ``if __name__ == "__main__":`` in a script.
        resume: Go on with an interrupted run of the same molecules and settings.
        on_molecules: Called with the number of molecules just finished.

    Raises:
        PhysMLError: A model or calculator that cannot be used, a process that died, or
            an interrupted run that is not this one.
    """
    check_kind(out)
    _check_names(model, relax)
    tell = on_molecules or (lambda _: None)
    job = {"model": model, "relax": relax, **asdict(settings)}
    folder = out.with_name(out.name + ".partial")
    _claim(folder, {**job, "molecules": _checksum(molecules)}, resume)
    size = max(1, min(_SLAB, len(molecules) // _SLABS))
    slabs = {k: molecules[k : k + size] for k in range(0, len(molecules), size)}
    with (folder / "lock").open("ab") as handle:
        if not lock(handle):
            raise DataError(f"{folder}: another process is at this job; wait for it")
        work = partial(_of_slab, model, relax, settings)
        jobs = _missing(slabs, folder, tell)
        for start, slab, outcomes in run_all(jobs, work, processes):
            _keep(folder / f"{start}", start, slab, outcomes, out.suffix)
            tell(len(slab))
        report = _together(folder, slabs, out)
    list_failures(out, report.failures)
    shutil.rmtree(folder)
    return report


def _check_names(model: str, relax: str | None) -> None:
    """Refuse, before any file is made, what no process could load."""
    DistanceModel(model)
    if relax is not None:
        make_calculator(relax)


def _of_slab(
    model: str, relax: str | None, settings: Settings, slab: Sequence[Named]
) -> list[Conformers | PhysMLError]:
    found = conformers_of([one.smiles for one in slab], model, relax, settings)
    for one, conformers in zip(slab, found, strict=True):
        if isinstance(conformers, Conformers):
            for atoms in conformers.structures:
                atoms.info["name"] = one.name
    return found


def _claim(folder: Path, job: dict[str, Any], resume: bool) -> None:
    path = folder / "job.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(path, job)
        return
    earlier = json.loads(path.read_text())
    if not resume:
        raise DataError(
            f"{folder}: holds an interrupted run; resume it, or remove the folder to "
            "start over"
        )
    changed = [key for key in job if earlier.get(key) != job[key]]
    if changed:
        raise DataError(
            f"{folder}: holds an interrupted run with other {changed[0]}; finish that "
            "one, or remove the folder to start over"
        )


def _missing(
    slabs: dict[int, Sequence[Named]], folder: Path, tell: Callable[[int], None]
) -> Iterator[tuple[int, Sequence[Named]]]:
    """Slabs without a result, each with its first index."""
    for start, slab in slabs.items():
        if (folder / f"{start}.json").exists():
            tell(len(slab))
        else:
            yield start, slab


def _keep(
    path: Path,
    start: int,
    slab: Sequence[Named],
    outcomes: Sequence[Conformers | PhysMLError],
    suffix: str,
) -> None:
    rows, failures, structures = [], [], []
    for index, (one, outcome) in enumerate(zip(slab, outcomes, strict=True), start):
        if isinstance(outcome, PhysMLError):
            failures.append([index, one.name, str(outcome)])
        else:
            rows.append(asdict(_row(index, one.name, outcome)))
            structures += outcome.structures
    if structures:
        write_conformers(path.with_suffix(suffix), structures)
    # Last, since its presence says that the slab is done.
    _write_json(path.with_suffix(".json"), {"rows": rows, "failures": failures})


def _row(index: int, name: str, found: Conformers) -> Row:
    first, last = found.structures[0], found.structures[-1]
    return Row(
        index=index,
        name=name,
        formula=first.get_chemical_formula(),
        count=len(found.structures),
        energy=None if first.calc is None else first.get_potential_energy(),
        spread=last.info.get("relative_energy"),
        weight=first.info.get("boltzmann_weight"),
        error=first.info["distance_error"],
        dropped=found.dropped,
    )


def _together(folder: Path, slabs: dict[int, Sequence[Named]], out: Path) -> Report:
    rows, failures, parts = [], [], []
    for start in slabs:
        content = json.loads((folder / f"{start}.json").read_text())
        rows += [Row(**row) for row in content["rows"]]
        failures += [Failure(*failure) for failure in content["failures"]]
        part = folder / f"{start}{out.suffix}"
        if part.exists():
            parts.append(part)
    if parts:
        join(parts, out)
    return Report(rows, failures)


def _write_json(path: Path, content: object) -> None:
    partial_ = path.with_name(path.name + ".part")
    partial_.write_text(json.dumps(content))
    partial_.replace(path)


def _checksum(molecules: Sequence[Named]) -> int:
    return zlib.crc32(json.dumps(molecules).encode())
