"""Verb `physml pathway`: from a mapped reaction SMILES to a barrier."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_physml.cli.neb import print_paths, write_page
from ase_physml.cli.options import (
    AnyDomain,
    Climb,
    Conformations,
    Device,
    Dtype,
    FloatType,
    Fmax,
    Folder,
    Images,
    Jobs,
    Match,
    Model,
    Optimizer,
    OptimizerName,
    Overwrite,
    Resume,
    Saddles,
    Seed,
    SmilesColumn,
    Start,
    StartName,
    Steps,
    Uncertain,
    ZeroPoint,
)
from ase_physml.cli.outputs import check_file, results_in, stoppable
from ase_physml.cli.progress import falling
from ase_physml.cli.shared import (
    check_export,
    make_calculator_for,
    make_console,
    print_doubts,
    print_errors,
)
from ase_physml.errors import DataError, StructureError

if TYPE_CHECKING:
    from rich.console import Console

    from ase_physml.workflows.paths.reaction_path import ReactionPath
    from ase_physml.workflows.pathways.ends import Ends
    from ase_physml.workflows.pathways.pathway import PathwayOutcome


_WRITTEN = (
    "steps.json",
    "reactant.xyz",
    "product.xyz",
    "ends.traj",
    "path.traj",
    "path.state.traj",
    "path.png",
    "path.saddle.json",
    "path.saddle.xyz",
    "path.saddle.traj",
    "path.saddle.molden",
)


class LastStep(StrEnum):
    """Steps of a pathway."""

    conformers = "conformers"
    ends = "ends"
    path = "path"


def pathway(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Mapped reaction SMILES R>>P; a file of lines `R>>P name`; or two "
            "files of structures, of reactant and product."
        ),
    ],
    model: Model = "reactions.pt",
    conformations: Conformations = "physchem_qm9.pt",
    out: Folder = Path("pathway"),
    n: Annotated[int, typer.Option("-n", min=1, help="Conformers of a side.")] = 5,
    images: Images = 9,
    fmax: Fmax = 0.05,
    steps: Steps = 500,
    end_fmax: Annotated[
        float, typer.Option(help="Largest force left on both sides, eV/Å.")
    ] = 0.02,
    climb: Climb = True,
    optimizer: OptimizerName = Optimizer.FIRE,
    match: Match = False,
    start: StartName = Start.idpp,
    saddles: Saddles = True,
    zpe: ZeroPoint = False,
    any_domain: AnyDomain = False,
    until: Annotated[LastStep, typer.Option(help="The last step.")] = LastStep.path,
    uncertain: Uncertain = None,
    smiles_column: SmilesColumn = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "auto",
    dtype: FloatType = Dtype.float64,
    jobs: Jobs = 1,
) -> None:
    """Find reaction paths from SMILES: conformers of both sides, ends, path, saddle.

    Each step leaves its files: reactant.xyz and product.xyz, ends.traj, path.traj,
    path.png and path.saddle.*, with PASS, WARN or FAIL. Exit code 1 if a reaction
    failed or its path gives no barrier; the others are searched all the same.
    """
    from ase_physml.workflows.conformers.embedding import ConformerSettings
    from ase_physml.workflows.paths.neb import Search
    from ase_physml.workflows.pathways.pathway import PathwaySettings, find_pathways

    check_file(uncertain, overwrite=True, option="--uncertain")
    reactions, unread = _read(inputs, smiles_column)
    calculator = make_calculator_for(model, device, dtype, jobs)
    search = Search(
        images=images,
        fmax=fmax,
        steps=steps,
        climb=climb,
        optimizer=optimizer.value,
        end_fmax=end_fmax,
        any_domain=any_domain,
        start=start.value,
        certify=saddles,
        zero_point=zpe,
    )
    settings = PathwaySettings(ConformerSettings(n, seed), conformations, match, search)
    check_export(calculator, uncertain)
    single = len(reactions) == 1
    folders = {name: out if single else out / name for name in reactions}
    console = make_console()
    written = [folder / name for folder in folders.values() for name in _WRITTEN]
    with (
        stoppable(f"finished steps are kept in {out}/; go on with --resume"),
        results_in(out, written, resume=resume, overwrite=overwrite) as place,
        falling("searching", len(reactions), fmax) as show,
    ):
        place.begin()
        found = find_pathways(
            list(reactions.values()),
            calculator,
            settings,
            folders=list(folders.values()),
            resume=place.going_on,
            until=until.value,
            on_stage=lambda step: console.print(f"{step} ..."),
            on_step=show,
        )
        results = dict(zip(reactions, found, strict=True))
        for name, folder in folders.items():
            results[name] = _plotted(results[name], folder, fmax)
    _print_ends(console, results)
    flawed = False
    if until is LastStep.path:
        paths = {name: _path(result) for name, result in results.items()}
        flawed = print_paths(console, paths, getattr(calculator, "potential", model))
        write_page(out / "paths.html", paths, model)
        doubts = {n: p.doubt for n, p in paths.items() if not isinstance(p, Exception)}
        print_doubts(console, doubts, calculator, uncertain)
    console.print(f"written to {out}/", markup=False, soft_wrap=True)
    if print_errors({**results, **unread}) or flawed:
        raise typer.Exit(1)


def _read(
    inputs: list[str], column: str | None
) -> "tuple[dict[str, str | Ends], dict[str, DataError]]":
    """Reactions by unique names that can be names of folders, and bad rows."""
    from ase_physml.workflows.conformers.runs import read_molecules
    from ase_physml.workflows.inputs import file_safe, read_structures
    from ase_physml.workflows.pathways.ends import Ends

    files = [Path(text) for text in inputs if ">>" not in text]
    if len(files) == len(inputs) == 2:
        return {"reaction": Ends(*map(read_structures, files))}, {}
    for file in files:
        if not file.is_file():
            raise StructureError(
                f"{file}: no such file, and no reaction; write REACTANTS>>PRODUCTS"
            )
    found: dict[str, str | Ends] = {}
    unread: dict[str, DataError] = {}
    for named in read_molecules(inputs, column):
        if named.problem:
            unread[named.where] = DataError(named.problem)
            continue
        name = "reaction" if named.name == named.smiles else file_safe(named.name)
        found[name if name not in found else f"{name}-{len(found) + 1}"] = named.smiles
    if not found:
        raise next(iter(unread.values()))
    return found, unread


def _plotted(outcome: "PathwayOutcome", folder: Path, fmax: float) -> "PathwayOutcome":
    """Plot the path, unless an earlier run, which saw all steps, has plotted it."""
    from ase_physml.workflows.paths.certified import write_certificate
    from ase_physml.workflows.plots import plot_path

    if isinstance(outcome, Exception) or outcome.path is None:
        return outcome
    plot = folder / "path.png"
    try:
        if len(outcome.path.forces) > 1 or not plot.exists():
            plot_path(outcome.path, plot, fmax)
        write_certificate(folder / "path", outcome.path)
    except Exception as error:
        return error
    return outcome


def _path(outcome: "PathwayOutcome") -> "ReactionPath | Exception":
    if isinstance(outcome, Exception):
        return outcome
    return outcome.path or StructureError("no path was searched")


def _print_ends(console: "Console", results: "dict[str, PathwayOutcome]") -> None:
    for name, result in results.items():
        if isinstance(result, Exception):
            continue
        ends = result.ends
        about = f"{len(ends.reactants)} reactants, {len(ends.products)} products"
        if result.pair is not None:
            about += f"; the closest are {result.pair[1].info['rmsd']:.2f} Å apart"
        console.print(f"{name}: {about}", markup=False, soft_wrap=True)
