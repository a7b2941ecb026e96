"""Pathways: from a mapped reaction SMILES to its path and barrier.

Steps hand each other values; files are kept where a folder is given, by `StepFiles`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_physml.calculators.names import CalculatorLike, as_calculator
from ase_physml.calculators.provenance import identity_of, model_identity
from ase_physml.chem.atom_mapping import MappedReaction, read_reaction
from ase_physml.errors import StructureError
from ase_physml.jobs.identity import Identity
from ase_physml.workflows.alignment import align_ends
from ase_physml.workflows.conformers.embedding import ConformerSettings
from ase_physml.workflows.constraints import check_kept
from ase_physml.workflows.paths.band_search import OnBandStep
from ase_physml.workflows.paths.neb import Search, check_search, find_paths
from ase_physml.workflows.paths.reaction_path import ReactionPath
from ase_physml.workflows.pathways.ends import (
    Align,
    Ends,
    align_mapped,
    closest_pair,
    ends_of,
    relaxed_ends,
)
from ase_physml.workflows.pathways.files import StepFiles
from ase_physml.workflows.relax import check_is_atoms

_FORMAT = 1

PathwayStep = Literal["conformers", "ends", "path"]


@dataclass(frozen=True)
class Pathway:
    """A reaction with its ends and its path.

    Attributes:
        ends: Relaxed structures of both sides, lowest in energy first.
        pair: Reactant and product that lie closest, aligned; None if that was not asked
            for, as with ``path``.
        path: Path between these two, with ``barrier`` and ``barrier_std``, eV.
    """

    ends: Ends
    pair: tuple[Atoms, Atoms] | None = None
    path: ReactionPath | None = None


@dataclass(frozen=True)
class PathwaySettings:
    """Settings of `find_pathways`.

    Attributes:
        conformers: Settings of the conformers of each side, which are relaxed to
            ``search.end_fmax``.
        model: Model of conformations, shipped name or path.
        match: Whether to reorder atoms of structures that are given; see `align_ends`.
        search: Settings of the search of the path.
    """

    conformers: ConformerSettings = field(
        default_factory=lambda: ConformerSettings(n=5)
    )
    model: str = "physchem_qm9.pt"
    match: bool = False
    search: Search = field(default_factory=lambda: Search(end_fmax=0.02))

    @property
    def relaxation(self) -> ConformerSettings:
        """Settings of the relaxation of both sides."""
        return replace(self.conformers, fmax=self.search.end_fmax)


PathwayOutcome = Pathway | Exception
"""A pathway, or why there is none."""


@dataclass
class _Run:
    """A reaction under way, and what its steps have found.

    Attributes:
        reaction: Mapped reaction, or structures of both sides.
        align: See `Align`.
        files: Files of its steps, if they are kept.
        ends: Relaxed structures of both sides.
        pair: Closest reactant and product.
        path: Path between these.
        error: Why there is none.
    """

    reaction: MappedReaction | Ends
    align: Align
    files: StepFiles | None
    ends: Ends | None = None
    pair: tuple[Atoms, Atoms] | None = None
    path: ReactionPath | None = None
    error: Exception | None = None

    def outcome(self) -> PathwayOutcome:
        """The pathway, or why there is none."""
        if self.error is not None:
            return self.error
        assert self.ends is not None
        return Pathway(self.ends, self.pair, self.path)

    def kept(self, step: PathwayStep) -> StepFiles | None:
        """Files of an earlier run that has done a step; None where it has to be."""
        done = self.files is not None and self.files.has(step)
        return self.files if done else None


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
    until: PathwayStep = "path",
    on_stage: Callable[[PathwayStep], None] | None = None,
    on_step: OnBandStep | None = None,
) -> list[PathwayOutcome]:
    """Find the paths of many reactions, each step of all of them in batches.

    Conformers of both sides are made and relaxed, see `ends_of`; the closest reactant
    and product become the ends of a nudged elastic band.

    Args:
        reactions: Mapped reaction SMILES, see `read_reaction`; or structures of both
            sides, all of the same atoms in the same order, which are relaxed.
        calculator: Calculator or its name, see `as_calculator`: "reactions.pt", or any
            of ASE's.
        settings: Settings of all steps.
        folders: Folder of the files of each reaction, see `StepFiles`; by default no
            files are kept.
        resume: Whether to leave out the steps that are done, and to go on with bands
            where an interrupted run left them.
        until: Last step.
        on_stage: Called with each step as it begins.
        on_step: Called as the bands move; see `OnBandStep`.

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
    places: Sequence[Path | None] = folders or [None] * len(reactions)
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
    return [run.outcome() if isinstance(run, _Run) else run for run in started]


def _start(
    reaction: str | Ends,
    folder: Path | None,
    calculator: Calculator,
    settings: PathwaySettings,
    resume: bool,
) -> _Run | Exception:
    try:
        read = read_reaction(reaction) if isinstance(reaction, str) else reaction
        if not isinstance(read, MappedReaction):
            _check_ends(read, kept=folder is not None)
        files = None
        if folder is not None:
            made_with = _made_with(reaction, calculator, settings)
            files = StepFiles(folder, made_with, resume)
    except Exception as error:
        # RDKit raises anything; it alone shall fail.
        return error
    if isinstance(read, MappedReaction):
        return _Run(read, partial(align_mapped, read), files)
    return _Run(read, partial(align_ends, match=settings.match), files)


def _check_ends(ends: object, kept: bool) -> None:
    if not isinstance(ends, Ends):
        raise StructureError(
            f"a reaction is a SMILES or `Ends`, not a {type(ends).__name__}"
        )
    for name, side in (("reactant", ends.reactants), ("product", ends.products)):
        for index, atoms in enumerate(side):
            check_is_atoms(atoms, f"{name} {index}")
            if kept:
                check_kept(atoms)


def _made_with(
    reaction: str | Ends, calculator: Calculator, settings: PathwaySettings
) -> dict[str, Identity]:
    """Identity of each step: everything that its files depend on."""
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
    for run in runs:
        try:
            if files := run.kept("conformers"):
                run.ends = files.read_ends()
        except Exception as error:
            # Somebody may have edited the files, and ASE's readers raise anything.
            run.error = error
    missing = [run for run in _live(runs) if run.ends is None]
    mapped = [
        (r, r.reaction) for r in missing if isinstance(r.reaction, MappedReaction)
    ]
    given = [(r, r.reaction) for r in missing if isinstance(r.reaction, Ends)]
    relaxation = settings.relaxation
    found = ends_of([r for _, r in mapped], calculator, settings.model, relaxation)
    found += relaxed_ends([r for _, r in given], calculator, relaxation)
    for (run, _), ends in zip([*mapped, *given], found, strict=True):
        if not isinstance(ends, Ends):
            run.error = ends
            continue
        run.ends = ends
        if run.files is not None:
            run.files.write_ends(ends)


def _find_pairs(runs: Sequence[_Run]) -> None:
    for run in _live(runs):
        assert run.ends is not None
        try:
            if files := run.kept("ends"):
                run.pair = files.read_pair()
                continue
            run.pair = closest_pair(run.ends, run.align)
            if run.files is not None:
                run.files.write_pair(run.pair)
        except Exception as error:
            # As above; and constraints, which raise anything where ends cannot meet.
            run.error = error


def _find_paths(
    runs: Sequence[_Run],
    calculator: Calculator,
    search: Search,
    on_step: OnBandStep | None,
) -> None:
    done = [run for run in _live(runs) if run.kept("path")]
    missing = [run for run in _live(runs) if not run.kept("path")]
    for run in missing:
        if run.files is not None:
            run.files.start_path()
    # Paths that are there only lack what files do not keep: they are evaluated again.
    _search(done, calculator, replace(search, steps=0), None)
    _search(missing, calculator, search, on_step)
    for run in missing:
        if run.path is not None and run.files is not None:
            run.files.write_path(run.path)


def _search(
    runs: Sequence[_Run],
    calculator: Calculator,
    search: Search,
    on_step: OnBandStep | None,
) -> None:
    states = [run.files.latest for run in runs if run.files is not None]
    found = find_paths(
        [run.pair for run in runs if run.pair is not None],
        calculator,
        replace(search, relax_ends=False),
        on_step,
        states or None,
        resume=True,
    )
    for run, path in zip(runs, found, strict=True):
        if isinstance(path, ReactionPath):
            run.path = path
        else:
            run.error = path


def _live(runs: Sequence[_Run]) -> list[_Run]:
    return [run for run in runs if run.error is None]
