"""From a mapped reaction SMILES to its path and barrier."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_physml.calculators.names import CalculatorLike, as_calculator
from ase_physml.calculators.provenance import identity_of, model_identity
from ase_physml.chem.atom_mapping import MappedReaction, read_reaction
from ase_physml.errors import StructureError
from ase_physml.jobs.identity import Identity
from ase_physml.workflows.conformers.embedding import ConformerSettings
from ase_physml.workflows.constraints import check_kept
from ase_physml.workflows.ends import align_ends
from ase_physml.workflows.neb import (
    Progress,
    ReactionPath,
    Search,
    check_search,
    find_paths,
)
from ase_physml.workflows.pathway_ends import (
    Align,
    Ends,
    align_mapped,
    closest_pair,
    ends_of,
    relaxed_ends,
)
from ase_physml.workflows.pathway_files import StepFiles
from ase_physml.workflows.relaxation import check_is_atoms

_FORMAT = 1

Step = Literal["conformers", "ends", "path"]


@dataclass(frozen=True)
class Pathway:
    """A reaction with its ends and its path.

    Attributes:
        ends: Relaxed structures of both sides, lowest in energy first.
        pair: The reactant and the product that lie closest, aligned; None if that was
            not asked for, as with ``path``.
        path: Between these two, with ``barrier`` and ``barrier_std``, eV.
    """

    ends: Ends
    pair: tuple[Atoms, Atoms] | None = None
    path: ReactionPath | None = None


@dataclass(frozen=True)
class PathwaySettings:
    """How pathways are found.

    Attributes:
        conformers: Of each side, relaxed to ``search.end_fmax``.
        model: Of conformations, shipped name or path.
        match: Reorder the atoms of structures that are given; see `align_ends`.
        search: Of the path.
    """

    conformers: ConformerSettings = field(
        default_factory=lambda: ConformerSettings(n=5)
    )
    model: str = "physchem_qm9.pt"
    match: bool = False
    search: Search = field(default_factory=lambda: Search(end_fmax=0.02))

    @property
    def relaxation(self) -> ConformerSettings:
        """Of the structures of both sides."""
        return replace(self.conformers, fmax=self.search.end_fmax)


Outcome = Pathway | Exception


@dataclass
class _Run:
    """A reaction under way; what its steps give lies in its files."""

    reaction: MappedReaction | Ends
    align: Align
    files: StepFiles
    path: ReactionPath | None = None
    error: Exception | None = None

    def outcome(self) -> Outcome:
        """What became of it."""
        if self.error is not None:
            return self.error
        pair = self.files.read_pair() if self.files.has("ends") else None
        return Pathway(self.files.read_ends(), pair, self.path)


def find_pathway(
    reaction: str | Ends,
    calculator: CalculatorLike,
    settings: PathwaySettings | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
) -> Pathway:
    """Find the path of one reaction; see `find_pathways`.

    Raises:
        PhysMLError: Why there is none.
    """
    folders = None if folder is None else [folder]
    (found,) = find_pathways(
        [reaction], calculator, settings, folders=folders, resume=resume
    )
    if isinstance(found, Exception):
        raise found
    return found


def find_pathways(
    reactions: Sequence[str | Ends] | str | Ends,
    calculator: CalculatorLike,
    settings: PathwaySettings | None = None,
    *,
    folders: Sequence[Path] | None = None,
    resume: bool = False,
    until: Step = "path",
    on_stage: Callable[[Step], None] | None = None,
    on_step: Progress | None = None,
) -> list[Outcome]:
    """Find the paths of many reactions, each step of all of them in batches.

    Conformers of both sides are made and relaxed, see `ends_of`; the closest reactant
    and product become the ends of a nudged elastic band.

    Args:
        reactions: Mapped reaction SMILES, see `read_reaction`; or structures of both
            sides, all of the same atoms in the same order, which are relaxed.
        calculator: Or its name, see `as_calculator`: "reactions.pt", or any of ASE's.
        settings: Of all steps.
        folders: Of the files of each reaction, see `StepFiles`; None keeps no files.
        resume: Leave out the steps that are done, and go on with bands where an
            interrupted run left them.
        until: The last step.
        on_stage: Called with each step as it begins.
        on_step: Of the bands; see `find_paths`.

    Returns:
        For each reaction its pathway, or the exception that says why there is none.

    Raises:
        PhysMLError: A setting out of range, or a model that cannot be used.
    """
    settings = settings or PathwaySettings()
    tell = on_stage or (lambda _: None)
    calculator = as_calculator(calculator)
    if isinstance(reactions, str | Ends):
        reactions = [reactions]
    if until == "path":
        check_search(settings.search, calculator)
    with TemporaryDirectory() as scratch:
        places = folders or [Path(scratch, f"{k}") for k in range(len(reactions))]
        started = [
            _start(reaction, folder, calculator, settings, resume)
            for reaction, folder in zip(reactions, places, strict=True)
        ]
        runs = [run for run in started if isinstance(run, _Run)]
        tell("conformers")
        _find_ends(runs, calculator, settings)
        if until != "conformers":
            tell("ends")
            _find_pairs(runs)
        if until == "path":
            tell("path")
            _find_paths(runs, calculator, settings.search, on_step)
        return [r.outcome() if isinstance(r, _Run) else r for r in started]


def _start(
    reaction: str | Ends,
    folder: Path,
    calculator: Calculator,
    settings: PathwaySettings,
    resume: bool,
) -> _Run | Exception:
    try:
        read = read_reaction(reaction) if isinstance(reaction, str) else reaction
        if not isinstance(read, MappedReaction):
            _check_ends(read)
        made_with = _made_with(reaction, calculator, settings)
        files = StepFiles(folder, made_with, resume)
    except Exception as error:
        # RDKit raises anything; it alone shall fail.
        return error
    if isinstance(read, MappedReaction):
        return _Run(read, partial(align_mapped, read), files)
    return _Run(read, partial(align_ends, match=settings.match), files)


def _check_ends(ends: object) -> None:
    if not isinstance(ends, Ends):
        raise StructureError(
            f"a reaction is a SMILES or `Ends`, not a {type(ends).__name__}"
        )
    for name, side in (("reactant", ends.reactants), ("product", ends.products)):
        for index, atoms in enumerate(side):
            check_is_atoms(atoms, f"{name} {index}")
            check_kept(atoms)


def _made_with(
    reaction: str | Ends, calculator: Calculator, settings: PathwaySettings
) -> dict[str, Identity]:
    """What the files of each step depend on."""
    given: object = reaction
    if isinstance(reaction, Ends):
        given = {"reactants": reaction.reactants, "products": reaction.products}
    potential = identity_of(calculator)
    return {
        "conformers": Identity.of(
            "conformers",
            _FORMAT,
            reaction=given,
            potential=potential,
            model=model_identity(settings.model),
            settings=settings.relaxation,
        ),
        "ends": Identity.of("ends", _FORMAT, match=settings.match),
        "path": Identity.of(
            "path", _FORMAT, potential=potential, search=settings.search
        ),
    }


def _find_ends(
    runs: Sequence[_Run], calculator: Calculator, settings: PathwaySettings
) -> None:
    missing = [run for run in runs if not run.files.has("conformers")]
    mapped = [
        (r, r.reaction) for r in missing if isinstance(r.reaction, MappedReaction)
    ]
    given = [(r, r.reaction) for r in missing if isinstance(r.reaction, Ends)]
    relaxation = settings.relaxation
    found = ends_of([r for _, r in mapped], calculator, settings.model, relaxation)
    found += relaxed_ends([r for _, r in given], calculator, relaxation)
    for (run, _), ends in zip([*mapped, *given], found, strict=True):
        if isinstance(ends, Ends):
            run.files.write_ends(ends)
        else:
            run.error = ends


def _find_pairs(runs: Sequence[_Run]) -> None:
    for run in _live(runs):
        if run.files.has("ends"):
            continue
        try:
            run.files.write_pair(closest_pair(run.files.read_ends(), run.align))
        except Exception as error:
            # Somebody may have edited the files, and ASE's readers raise anything.
            run.error = error


def _find_paths(
    runs: Sequence[_Run],
    calculator: Calculator,
    search: Search,
    on_step: Progress | None,
) -> None:
    done = [run for run in _live(runs) if run.files.has("path")]
    missing = [run for run in _live(runs) if not run.files.has("path")]
    for run in missing:
        run.files.start_path()
    # Paths that are there only lack what files do not keep: they are evaluated again.
    _search(done, calculator, replace(search, steps=0), None)
    _search(missing, calculator, search, on_step)
    for run in missing:
        if run.path is not None:
            run.files.write_path(run.path)


def _search(
    runs: Sequence[_Run],
    calculator: Calculator,
    search: Search,
    on_step: Progress | None,
) -> None:
    found = find_paths(
        [run.files.read_pair() for run in runs],
        calculator,
        replace(search, relax_ends=False),
        on_step,
        [run.files.latest for run in runs],
        resume=True,
    )
    for run, path in zip(runs, found, strict=True):
        if isinstance(path, ReactionPath):
            run.path = path
        else:
            run.error = path


def _live(runs: Sequence[_Run]) -> list[_Run]:
    return [run for run in runs if run.error is None]
