"""Conformer libraries: conformers of many molecules in one file, SDF, XYZ or HDF5.

They are made in processes, resumable, failures listed. See `Chunks`: the file is the
same however often the work was interrupted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from shutil import copyfileobj
from typing import Any, NamedTuple

from ase import Atoms
from rdkit import Chem

from ase_physml.calculators.names import make_calculator
from ase_physml.calculators.provenance import identity_of, model_identity
from ase_physml.chem.smiles import with_hydrogens, with_positions
from ase_physml.data.conversion import from_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.files.smiles_file import read_smiles
from ase_physml.data.files.xyz import write_xyz
from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import RaggedWriter
from ase_physml.errors import DataError, PhysMLError
from ase_physml.jobs.chunks import Chunks
from ase_physml.jobs.disk import atomic_write, writing
from ase_physml.jobs.failures import Failure, list_failures
from ase_physml.jobs.identity import Identity
from ase_physml.jobs.pool import Lost, Workers
from ase_physml.workflows.conformers.embedding import (
    ConformerEnsemble,
    ConformerSettings,
    DistanceModel,
)
from ase_physml.workflows.conformers.generate import conformers_of

ENDINGS = (".sdf", ".xyz", ".h5")
"""Endings of the files that are written."""

# Properties of a conformer in an SDF: key in ``info``, name with its unit, format.
_PROPERTIES = (
    ("isomer", "isomer", "s"),
    ("relative_energy", "relative_energy_eV", ".6f"),
    ("boltzmann_weight", "boltzmann_weight", ".6f"),
    ("distance_error", "distance_error_A", ".4f"),
    ("rmsd", "rmsd_to_first_A", ".4f"),
    ("converged", "converged", ""),
)
# Number of the format of what an interrupted run leaves.
_FORMAT = 1
# Molecules predicted and relaxed together.
_CHUNK = 16


class NamedSmiles(NamedTuple):
    """SMILES of one molecule of the input.

    Attributes:
        name: Name of the molecule, its SMILES if it has none.
        smiles: SMILES as written.
        problem: Reason why its row cannot be used, "" if nothing is wrong with it.
        where: File and line, "" if it was typed.
    """

    name: str
    smiles: str
    problem: str = ""
    where: str = ""


@dataclass(frozen=True)
class LibraryRow:
    """Summary of the conformers of one molecule.

    Attributes:
        index: Place of the molecule in the input.
        name: Name of the molecule.
        formula: Formula with hydrogens.
        count: Number of conformers.
        energy: Lowest energy, eV, if relaxed.
        spread: Highest energy above it, eV, if relaxed.
        weight: Boltzmann weight of the first, if relaxed.
        error: Deviation of the first one's distances from the prediction, Å, if there
            is one.
        dropped: Reasons why conformers were left out.
        note: Reason why there is no prediction, "" if there is one.
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
class LibraryReport:
    """Summary of a library.

    Attributes:
        rows: Molecules that have conformers.
        failures: Molecules without, also listed in ``OUT.failures.csv``.
    """

    rows: list[LibraryRow]
    failures: list[Failure]


def read_molecules(
    inputs: Sequence[str], column: str | None = None
) -> list[NamedSmiles]:
    """SMILES as they are, and those of tables and of files with one in each line.

    Args:
        inputs: SMILES or files.
        column: Name of the column of the SMILES in tables.

    Raises:
        DataError: A file that is neither, or nothing in all of them.
    """
    found: list[NamedSmiles] = []
    for text in inputs:
        path = Path(text)
        if not path.is_file():
            found.append(NamedSmiles(text, text))
            continue
        for row in read_smiles(path, column).rows:
            where = f"{path}, line {row.line}"
            found.append(
                NamedSmiles(row.name or row.smiles, row.smiles, row.problem, where)
            )
    if not found:
        raise DataError(f"{', '.join(inputs)}: no molecules; give SMILES")
    return found


def run_conformers(
    molecules: Sequence[NamedSmiles],
    out: Path,
    model: str,
    relax: str | None,
    settings: ConformerSettings,
    *,
    processes: int = 1,
    workers: Workers | None = None,
    resume: bool = False,
    afresh: bool = False,
    on_molecules: Callable[[int], None] | None = None,
) -> LibraryReport:
    """Make conformers of all molecules and write one file.

    Args:
        molecules: SMILES, any number.
        out: File, see `write_conformers`; replaced if it exists. Not written if there
            is not one conformer.
        model: Model of conformations, as of `generate_conformers`.
        relax: Name of a calculator, or None.
        settings: Settings of the conformers of each molecule.
        processes: Number of processes; 1 works here. More need
            ``if __name__ == "__main__":`` in a script.
        workers: Workers that work elsewhere instead, such as `DaskWorkers`.
        resume: Go on with an interrupted run of the same molecules, settings, model
            and calculator.
        afresh: Forget an interrupted run.
        on_molecules: Function called with the number of molecules just finished.

    Raises:
        PhysMLError: A model or calculator that cannot be used, a process that died, or
            an interrupted run that is not this one.
    """
    check_ending(out)
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
            partial(_work_on, model, relax, settings),
            partial(_keep, out.suffix),
            processes=processes,
            workers=workers,
            tell=on_molecules,
        )
        with writing(out):
            report = _join_parts(parts, out)
        list_failures(out, report.failures)
        chunks.remove()
    return report


def check_ending(path: Path) -> None:
    """Refuse a file whose ending does not say what to write.

    Raises:
        DataError: Naming the endings that there are.
    """
    if path.suffix not in ENDINGS:
        raise DataError(f"{path}: name a file that ends in {', '.join(ENDINGS)}")


def write_conformers(path: Path, structures: Sequence[Atoms]) -> None:
    """Write conformers of any molecules; replaces the file when it is complete.

    Args:
        path: File, whose ending decides: SDF has bonds and properties, extended XYZ
            what ``info`` has, HDF5 energies, forces, names and SMILES.
        structures: Structures of `generate_conformers`, perhaps with ``info["name"]``.

    Raises:
        DataError: Another ending.
    """
    check_ending(path)
    if path.suffix == ".h5":
        _write_set(path, (from_atoms(atoms) for atoms in structures))
        return
    if path.suffix == ".xyz":
        write_xyz(path, structures)
        return
    with atomic_write(path) as part, Chem.SDWriter(str(part)) as writer:
        for atoms in structures:
            writer.write(_with_properties(atoms))


def join_libraries(parts: Sequence[Path], path: Path) -> None:
    """Join several files of conformers, in this order, to one of their kind."""
    check_ending(path)
    if path.suffix == ".h5":
        _write_set(path, (frame for part in parts for frame in _frames(part)))
        return
    with atomic_write(path) as joined, joined.open("wb") as whole:
        for part in parts:
            with part.open("rb") as file:
                copyfileobj(file, whole)


def _check_names(model: str, relax: str | None) -> None:
    """Refuse, before any file is made, what no process could load."""
    DistanceModel(model)
    if relax is not None:
        make_calculator(relax)


def _work_on(
    model: str,
    relax: str | None,
    settings: ConformerSettings,
    chunk: Sequence[NamedSmiles],
) -> list[ConformerEnsemble | PhysMLError]:
    # What could not be read has no conformers, for the reason that the reader had.
    smiles = ["" if one.problem else one.smiles for one in chunk]
    found = conformers_of(smiles, model, relax, settings)
    for one, conformers in zip(chunk, found, strict=True):
        if isinstance(conformers, ConformerEnsemble):
            for atoms in conformers.structures:
                atoms.info["name"] = one.name
    return found


def _keep(
    suffix: str,
    stem: Path,
    start: int,
    chunk: Sequence[NamedSmiles],
    outcomes: Sequence[ConformerEnsemble | PhysMLError | Lost],
) -> dict[str, list[Any]]:
    """Record of a chunk; its structures go to a file of their own."""
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


def _row(index: int, name: str, found: ConformerEnsemble) -> LibraryRow:
    first, last = found.structures[0], found.structures[-1]
    return LibraryRow(
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


def _join_parts(parts: Sequence[tuple[Path, Any]], out: Path) -> LibraryReport:
    files = [stem.with_suffix(out.suffix) for stem, _ in parts]
    written = [file for file in files if file.exists()]
    if written:
        join_libraries(written, out)
    records = [record for _, record in parts]
    return LibraryReport(
        rows=[LibraryRow(**row) for record in records for row in record["rows"]],
        failures=[Failure(*one) for record in records for one in record["failures"]],
    )


def _frames(path: Path) -> Iterator[Frame]:
    frames = RaggedSet(path)
    for index in range(len(frames)):
        yield frames[index]


def _write_set(path: Path, frames: Iterator[Frame]) -> None:
    with RaggedWriter(path, Metadata(source="conformers from SMILES")) as writer:
        writer.extend(
            replace(frame, name=frame.name or frame.smiles) for frame in frames
        )


def _with_properties(atoms: Atoms) -> Chem.Mol:
    """Molecule of a structure, its bonds from the SMILES."""
    smiles = atoms.info["smiles"]
    molecule = with_positions(with_hydrogens(smiles), atoms.positions)
    molecule.SetProp("_Name", str(atoms.info.get("name", smiles)))
    molecule.SetProp("smiles", smiles)
    if atoms.calc is not None:
        molecule.SetProp("energy_eV", f"{atoms.get_potential_energy():.6f}")
    for key, name, form in _PROPERTIES:
        if key in atoms.info:
            molecule.SetProp(name, f"{atoms.info[key]:{form}}")
    return molecule
