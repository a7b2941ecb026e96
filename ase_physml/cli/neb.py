"""Verb `physml neb`: reaction paths between structures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ase_physml.cli.options import (
    AnyDomain,
    Climb,
    Device,
    Dtype,
    FloatType,
    Fmax,
    Folder,
    Images,
    Jobs,
    Limit,
    Match,
    Model,
    Optimizer,
    OptimizerName,
    Overwrite,
    Resume,
    Saddles,
    Start,
    StartName,
    Steps,
    Uncertain,
    ZeroPoint,
)
from ase_physml.cli.outputs import Place, check_file, results_in, stoppable
from ase_physml.cli.progress import falling
from ase_physml.cli.shared import (
    beside,
    check_export,
    make_calculator_for,
    make_console,
    make_table,
    print_doubts,
    print_errors,
)
from ase_physml.errors import StructureError, WriteError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from rich.console import Console

    from ase_physml.jobs.identity import Identity
    from ase_physml.workflows.paths.band_search import PathOutcome
    from ase_physml.workflows.paths.neb import Search
    from ase_physml.workflows.paths.reaction_path import ReactionPath

_WRITTEN = (
    ".traj",
    ".png",
    ".state.traj",
    ".saddle.json",
    ".saddle.xyz",
    ".saddle.traj",
    ".saddle.molden",
)

_COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}


EndPairs = dict[str, "tuple[Atoms, Atoms]"]


def neb(
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Reactant and product, or an HDF5 set of reactions."),
    ],
    model: Model = "reactions.pt",
    out: Folder = Path("paths"),
    images: Images = 9,
    fmax: Fmax = 0.05,
    steps: Steps = 500,
    climb: Climb = True,
    optimizer: OptimizerName = Optimizer.FIRE,
    relax_ends: Annotated[bool, typer.Option(help="Relax the ends first.")] = True,
    match: Match = False,
    ts_guess: Annotated[
        Path | None,
        typer.Option(help="Of one reaction: a structure near the saddle."),
    ] = None,
    start: StartName = Start.idpp,
    saddles: Saddles = True,
    zpe: ZeroPoint = False,
    any_domain: AnyDomain = False,
    limit: Limit = None,
    uncertain: Uncertain = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
    dtype: FloatType = Dtype.float64,
    jobs: Jobs = 1,
) -> None:
    """Find paths and their saddles; write path, barrier and certificate of each.

    Each gets PASS, WARN or FAIL: forces, one imaginary mode, both ends reached
    downhill. Exit code 1 if a reaction failed or its path gives no barrier; the others
    are searched all the same.
    """
    from ase_physml.workflows.paths.neb import Search
    from ase_physml.workflows.paths.reaction_path import ReactionPath

    if not fmax > 0:
        raise typer.BadParameter(
            f"must be above 0 eV/Å, got {fmax}", param_hint="--fmax"
        )
    check_file(uncertain, overwrite=True, option="--uncertain")
    ends = _read(inputs, limit)
    guess = _guess(ts_guess, len(ends))
    calculator = make_calculator_for(model, device, dtype, jobs)
    search = Search(
        images=images,
        fmax=fmax,
        steps=steps,
        climb=climb,
        optimizer=optimizer.value,
        relax_ends=relax_ends,
        match=match,
        any_domain=any_domain,
        start=start.value,
        certify=saddles,
        zero_point=zpe,
    )
    check_export(calculator, uncertain)
    console = make_console()
    written = [beside(out / name, kind) for name in ends for kind in _WRITTEN]
    with (
        stoppable(f"bands are kept in {out}/ every 20 steps; go on with --resume"),
        results_in(out, written, resume=resume, overwrite=overwrite) as place,
    ):
        results = _search(ends, out, calculator, search, place, guess)
    flawed = print_paths(console, results, getattr(calculator, "potential", model))
    write_page(out / "paths.html", results, model)
    console.print(f"written to {out}/", markup=False, soft_wrap=True)
    paths = {n: r for n, r in results.items() if isinstance(r, ReactionPath)}
    doubts = {name: path.doubt for name, path in paths.items()}
    print_doubts(console, doubts, calculator, uncertain)
    if print_errors(results) or flawed:
        raise typer.Exit(1)


def _search(
    ends: EndPairs,
    out: Path,
    calculator: "Calculator",
    search: "Search",
    place: Place,
    guess: "Atoms | None",
) -> "dict[str, PathOutcome]":
    """Search all paths together, and write what comes of each."""
    from ase_physml.workflows.image_files import read_images
    from ase_physml.workflows.paths.neb import find_paths, path_identities

    pairs = list(ends.values())
    made_of = path_identities(pairs, calculator, search)
    states = [beside(out / name, ".state.traj") for name in ends]
    if place.going_on:
        # A path that is there is the band to start from, and at its end already.
        for k, name in enumerate(ends):
            done = beside(out / name, ".traj")
            if read_images(done, made_of[k]) and not states[k].exists():
                states[k].write_bytes(done.read_bytes())
            read_images(states[k], made_of[k])
    place.begin()
    with falling("searching", len(ends), search.fmax) as show:
        found = find_paths(
            pairs,
            calculator,
            search,
            show,
            states,
            place.going_on,
            made_of=made_of,
            through=None if guess is None else [guess],
        )
    results = dict(zip(ends, found, strict=True))
    for name, state, made in zip(ends, states, made_of, strict=True):
        results[name] = _write(results[name], out / name, search.fmax, made)
        state.unlink(missing_ok=True)
    return results


def _read(inputs: list[Path], limit: int | None) -> EndPairs:
    """Names and ends of the reactions."""
    from ase_physml.data.conversion import to_atoms
    from ase_physml.data.dataset import RaggedSet
    from ase_physml.data.groups import reactions
    from ase_physml.workflows.inputs import read_structures

    if len(inputs) == 1 and inputs[0].suffix in (".h5", ".hdf5"):
        ends: EndPairs = {}
        for reaction in reactions(RaggedSet(inputs[0])):
            if limit is not None and len(ends) == limit:
                break
            pair = to_atoms(reaction.reactant), to_atoms(reaction.product)
            ends[reaction.name.replace("/", "_")] = pair
        return ends
    if len(inputs) != 2:
        raise StructureError(
            "give a reactant and a product, or one HDF5 set of reactions; got "
            f"{len(inputs)} inputs"
        )
    # Of a trajectory, say of a relaxation, the end.
    reactant, product = (read_structures(path)[-1] for path in inputs)
    return {f"{inputs[0].stem}-{inputs[1].stem}": (reactant, product)}


def _guess(path: Path | None, count: int) -> "Atoms | None":
    """Guess of the saddle of the one reaction."""
    from ase_physml.workflows.inputs import read_structures

    if path is None:
        return None
    if count != 1:
        raise StructureError(
            f"--ts-guess is of one reaction, and there are {count}; physml saddle "
            "takes many guesses"
        )
    return read_structures(path)[-1]


def _write(
    outcome: "PathOutcome", stem: Path, fmax: float, made_of: "Identity"
) -> "PathOutcome":
    """Write path and plot; the error if there is none."""
    from ase_physml.jobs.disk import writing
    from ase_physml.workflows.image_files import write_images
    from ase_physml.workflows.paths.certified import write_certificate
    from ase_physml.workflows.plots import plot_path

    if isinstance(outcome, Exception):
        return outcome
    try:
        with writing(stem.parent, "go on with --resume"):
            plot_path(outcome, beside(stem, ".png"), fmax)
        write_certificate(stem, outcome)
        write_images(outcome.images, beside(stem, ".traj"), made_of)
    except WriteError:
        raise
    except Exception as error:
        return error
    return outcome


def write_page(path: Path, results: "dict[str, PathOutcome]", model: str) -> None:
    """Write the page of all reactions, to be opened in a browser."""
    from ase_physml.evaluation.reaction_page import write_reactions
    from ase_physml.jobs.disk import writing

    with writing(path, "go on with --resume"):
        # Where nothing could be searched, nothing has made it.
        path.parent.mkdir(parents=True, exist_ok=True)
        write_reactions(path, results, f"Reactions by {model}")


def print_paths(
    console: "Console", results: "dict[str, PathOutcome]", potential: str
) -> bool:
    """Print a row for each path, or for its failure, and its flaws and remarks.

    Returns:
        Whether there is a path that gives no barrier.
    """
    from rich.markup import escape

    table = make_table(f"paths on the surface of {potential}")
    table.add_column("reaction", overflow="fold")
    table.add_column("verdict")
    for column in ("barrier (eV)", "back (eV)", "reaction (eV)"):
        table.add_column(column, justify="right")
    for column in ("mode (cm-1)", "band fmax (eV/Å)", "steps"):
        table.add_column(column, justify="right")
    for name, result in results.items():
        if isinstance(result, Exception):
            table.add_row(escape(name), "[red]failed[/]")
            continue
        table.add_row(
            escape(name),
            f"[{_COLOURS[result.grade]}]{result.grade}[/]",
            _barrier(result),
            f"{result.barrier_back:.3f}" if result.sound else "none",
            f"{result.reaction_energy:+.3f}",
            _mode(result),
            f"{result.forces[-1]:.3f}",
            str(len(result.forces) - 1),
        )
    console.print(table)
    paths = {n: r for n, r in results.items() if not isinstance(r, Exception)}
    for name, path in paths.items():
        for line in _lines(path):
            colour = _COLOURS[path.grade]
            console.print(f"[{colour}]{escape(f'{name}: {line}')}[/]", soft_wrap=True)
        for remark in path.remarks:
            console.print(f"{name}: {remark}", markup=False, soft_wrap=True)
    return not all(path.sound for path in paths.values())


def _lines(path: "ReactionPath") -> list[str]:
    """Reasons of the verdict, and barriers with zero-point energies."""
    said = list(path.flaws)
    if path.certificate is not None:
        said = list(path.certificate.reasons)
    if path.sound and path.top is not None and path.top.zero_point is not None:
        forward, back = path.top.zero_point
        said.append(
            f"with zero-point energies {path.barrier + forward:.3f} eV, back "
            f"{path.barrier_back + back:.3f} eV"
        )
    return said


def _mode(path: "ReactionPath") -> str:
    """Frequency of the imaginary mode of the saddle."""
    if path.top is None or not len(path.top.vibrations.imaginary):
        return ""
    return f"{-path.top.vibrations.imaginary[0]:.0f}i"


def _barrier(path: "ReactionPath") -> str:
    """Barrier with its sigma, or in brackets, where it is none, the highest image."""
    if not path.sound:
        return f"({path.barrier:.3f})"
    spread = path.barrier_std
    return f"{path.barrier:.3f}" + ("" if spread is None else f" ± {spread:.3f}")
