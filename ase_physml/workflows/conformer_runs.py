"""Conformers of many molecules: in processes, resumable, failures listed.

See `Chunks`: the file is the same however often the work was interrupted.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ase_physml.calculators.names import make_calculator
from ase_physml.calculators.provenance import identity_of, model_identity
from ase_physml.data.files.smiles_file import read_smiles
from ase_physml.errors import DataError, PhysMLError
from ase_physml.jobs.chunks import Chunks
from ase_physml.jobs.disk import writing
from ase_physml.jobs.failures import Failure, list_failures
from ase_physml.jobs.identity import Identity
from ase_physml.jobs.pool import Lost, Workers
from ase_physml.workflows.conformer_ensemble import Settings
from ase_physml.workflows.conformer_files import check_kind, join, write_conformers
from ase_physml.workflows.conformer_targets import DistanceModel
from ase_physml.workflows.conformers import Conformers, conformers_of

_FORMAT = 1
# Molecules predicted and relaxed together.
_CHUNK = 16


class Named(NamedTuple):
    """A line of the input.

    Attributes:
        name: Of the molecule, its SMILES if it has none.
        smiles: As written.
        problem: Why its row cannot be used, "" if nothing is wrong with it.
        where: File and line, "" of what was typed.
    """

    name: str
    smiles: str
    problem: str = ""
    where: str = ""


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
        error: Of the first one's distances from the prediction, Å, if there is one.
        dropped: Why conformers were left out.
        note: Why there is no prediction, "" if there is one.
    """

    index: int
    name: str
    formula: str
    count: int
    energy: float | None
    spread: float | None
    weight: float | None
    error: float | None
    dropped: list[str]
    note: str = ""


@dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes:
        rows: Of the molecules that have conformers.
        failures: Of the others, also listed in ``OUT.failures.csv``.
    """

    rows: list[Row]
    failures: list[Failure]


def read_molecules(inputs: Sequence[str], column: str | None = None) -> list[Named]:
    """SMILES as they are, and those of tables and of files with one in each line.

    Args:
        inputs: SMILES or files.
        column: Of the SMILES in tables.

    Raises:
        DataError: A file that is neither, or nothing in all of them.
    """
    found: list[Named] = []
    for text in inputs:
        path = Path(text)
        if not path.is_file():
            found.append(Named(text, text))
            continue
        for row in read_smiles(path, column).rows:
            where = f"{path}, line {row.line}"
            found.append(Named(row.name or row.smiles, row.smiles, row.problem, where))
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
    workers: Workers | None = None,
    resume: bool = False,
    afresh: bool = False,
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
        workers: To work elsewhere instead, such as `DaskWorkers`.
        resume: Go on with an interrupted run of the same molecules, settings, model
            and calculator.
        afresh: Forget an interrupted run.
        on_molecules: Called with the number of molecules just finished.

    Raises:
        PhysMLError: A model or calculator that cannot be used, a process that died, or
            an interrupted run that is not this one.
    """
    check_kind(out)
    _check_names(model, relax)
    job = Identity.of(
        "conformers",
        _FORMAT,
        model=model_identity(model),
        relax=None if relax is None else identity_of(relax),
        settings=settings,
        molecules=molecules,
        file=out.suffix,
    )
    with Chunks(out, job, resume=resume, afresh=afresh) as chunks:
        parts = chunks.run(
            molecules,
            _CHUNK,
            partial(_of_chunk, model, relax, settings),
            partial(_keep, out.suffix),
            processes=processes,
            workers=workers,
            tell=on_molecules,
        )
        with writing(out):
            report = _together(parts, out)
        list_failures(out, report.failures)
        chunks.remove()
    return report


def _check_names(model: str, relax: str | None) -> None:
    """Refuse, before any file is made, what no process could load."""
    DistanceModel(model)
    if relax is not None:
        make_calculator(relax)


def _of_chunk(
    model: str, relax: str | None, settings: Settings, chunk: Sequence[Named]
) -> list[Conformers | PhysMLError]:
    # What could not be read has no conformers, for the reason that the reader had.
    smiles = ["" if one.problem else one.smiles for one in chunk]
    found = conformers_of(smiles, model, relax, settings)
    for one, conformers in zip(chunk, found, strict=True):
        if isinstance(conformers, Conformers):
            for atoms in conformers.structures:
                atoms.info["name"] = one.name
    return found


def _keep(
    suffix: str,
    stem: Path,
    start: int,
    chunk: Sequence[Named],
    outcomes: Sequence[Conformers | PhysMLError | Lost],
) -> dict[str, list[Any]]:
    """Structures go to a file of their own; returned is what is said about them."""
    rows, failures, structures = [], [], []
    for index, (one, outcome) in enumerate(zip(chunk, outcomes, strict=True), start):
        if isinstance(outcome, Lost):
            failures.append([index, one.name, outcome.reason])
        elif isinstance(outcome, PhysMLError):
            reason = one.problem or str(outcome)
            where = f"{one.where}: " if one.where else ""
            failures.append([index, one.name, where + reason])
        else:
            rows.append(asdict(_row(index, one.name, outcome)))
            structures += outcome.structures
    if structures:
        write_conformers(stem.with_suffix(suffix), structures)
    return {"rows": rows, "failures": failures}


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
        error=first.info.get("distance_error"),
        dropped=found.dropped,
        note=found.note,
    )


def _together(parts: Sequence[tuple[Path, Any]], out: Path) -> Report:
    files = [stem.with_suffix(out.suffix) for stem, _ in parts]
    written = [file for file in files if file.exists()]
    if written:
        join(written, out)
    records = [record for _, record in parts]
    return Report(
        rows=[Row(**row) for record in records for row in record["rows"]],
        failures=[Failure(*one) for record in records for one in record["failures"]],
    )
