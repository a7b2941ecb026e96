"""Verb `physml relax`: structures in, relaxed structures out."""

import json
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_physml.cli.options import (
    AsJson,
    Device,
    Dtype,
    FloatType,
    Fmax,
    Folder,
    Jobs,
    MaxAtoms,
    Model,
    Optimizer,
    OptimizerName,
    Overwrite,
    Resume,
    Scheduler,
    Seed,
    SmilesColumn,
    Steps,
    Structures,
    Uncertain,
)
from ase_physml.cli.outputs import check_file, results_in, stoppable
from ase_physml.cli.progress import falling
from ase_physml.cli.shared import (
    beside,
    check_export,
    make_calculator_for,
    make_console,
    make_table,
    open_workers,
    print_doubts,
    print_errors,
)
from ase_physml.errors import PhysMLError, PotentialError, StructureError, WriteError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from rich.console import Console

    from ase_physml.workflows.relax import Relaxed
    from ase_physml.workflows.relax_many import Outcome, PotentialOptions

# With more structures than this, plots are drawn only if asked for: each takes longer
# than a small molecule.
_PLOTTED = 20
_GO_ON = "go on with --resume"
_WRITTEN = (".traj", ".xyz", ".png")


def relax(
    inputs: Structures,
    model: Model = "qm9.pt",
    out: Folder = Path("relaxed"),
    optimizer: OptimizerName = Optimizer.BFGS,
    fmax: Fmax = 0.01,
    steps: Steps = 500,
    batch_size: Annotated[int, typer.Option(min=1, help="Relaxed at a time.")] = 256,
    plot: Annotated[
        bool | None,
        typer.Option(help=f"Draw each (if not said: up to {_PLOTTED} structures)."),
    ] = None,
    uncertain: Uncertain = None,
    collect: Annotated[
        Path | None,
        typer.Option(
            help="One file of all relaxed structures: .sdf (of SMILES), .xyz or .h5."
        ),
    ] = None,
    smiles_column: SmilesColumn = None,
    max_atoms: MaxAtoms = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
    dtype: FloatType = Dtype.float64,
    compiled: Annotated[bool, typer.Option(help="Compile first; for many.")] = False,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Relax molecules together; write trajectory, structure and a plot of each.

    Exit code 1 if an input failed; the others are relaxed all the same.
    """
    from ase_physml.calculators.names import name_of
    from ase_physml.chem.embed import MAX_ATOMS
    from ase_physml.workflows.inputs import read_inputs
    from ase_physml.workflows.relax import Relaxed
    from ase_physml.workflows.relax_many import PotentialOptions

    if not fmax > 0:
        raise typer.BadParameter(
            f"must be above 0 eV/Å, got {fmax}", param_hint="--fmax"
        )
    _refuse_overwriting(inputs, out)
    # Files of the results together: as old or new as these are.
    check_file(uncertain, overwrite=True, option="--uncertain")
    check_file(collect, overwrite=True, option="--collect")
    potential = PotentialOptions(model, device, dtype.value, compiled)
    if scheduler is not None and jobs > 1:
        raise PotentialError("--jobs is of this machine, --scheduler has its own: one")
    calculator = make_calculator_for(model, device, dtype, jobs, compiled)
    check_export(calculator, uncertain)
    console = make_console(stderr=as_json)
    results: dict[str, Outcome | None] = {}
    starts: dict[str, Atoms] = {}
    for name, start in read_inputs(inputs, seed, smiles_column, max_atoms or MAX_ATOMS):
        results[name] = None  # keeps the order of the table
        if isinstance(start, PhysMLError):
            results[name] = start
        else:
            starts[name] = start
    _check_collect(collect, starts)
    options = _Options(optimizer.value, fmax, steps, batch_size, plot, scheduler)
    stems = [beside(out / name, kind) for name in starts for kind in _WRITTEN]
    with (
        stoppable(f"finished structures are kept in {out}/; {_GO_ON}"),
        results_in(out, stems, resume=resume, overwrite=overwrite) as place,
    ):
        if place.going_on:
            results.update(_earlier(starts, out, calculator, options))
        place.begin()
        missing = {n: start for n, start in starts.items() if results[n] is None}
        _relax(missing, out, potential, calculator, options, results, place.going_on)
    if as_json:
        typer.echo(json.dumps(_rows(results, out), indent=2))
    else:
        _print_table(console, results, name_of(calculator))
        console.print(f"written to {out}/", markup=False, soft_wrap=True)
    relaxed = {n: r for n, r in results.items() if isinstance(r, Relaxed)}
    doubts = {name: one.doubt for name, one in relaxed.items()}
    print_doubts(console, doubts, calculator, uncertain)
    if collect is not None and relaxed:
        _collect(collect, relaxed, name_of(calculator))
    if print_errors(results):
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Options:
    """Options of the relaxations."""

    optimizer: str
    fmax: float
    steps: int
    batch_size: int
    plot: bool | None
    scheduler: str | None


def _relax(
    starts: "dict[str, Atoms]",
    out: Path,
    potential: "PotentialOptions",
    calculator: "Calculator",
    options: _Options,
    results: "dict[str, Outcome | None]",
    resume: bool,
) -> None:
    """Relax, and write what comes of each as soon as it is there."""
    from ase_physml.workflows.relax_many import relax_many, relax_on

    names = list(starts)
    plotted = len(names) <= _PLOTTED if options.plot is None else options.plot
    settings: dict[str, Any] = {
        "optimizer": options.optimizer,
        "fmax": options.fmax,
        "steps": options.steps,
        "trajectories": [beside(out / name, ".traj") for name in names],
    }
    with falling("relaxing", len(names), options.fmax) as show:

        def leave(index: int, outcome: "Outcome") -> None:
            stem = out / names[index]
            results[names[index]] = _write(outcome, stem, options.fmax, plotted)
            show(index, 0, 0.0)

        if options.scheduler is None:
            relax_many(
                list(starts.values()),
                calculator,
                **settings,
                batch_size=options.batch_size,
                on_done=leave,
                on_step=show,
                resume=resume,
            )
            return
        with open_workers(options.scheduler) as workers:
            relax_on(
                workers, list(starts.values()), potential, **settings, on_done=leave
            )


def _earlier(
    starts: "dict[str, Atoms]",
    out: Path,
    calculator: "Calculator",
    options: _Options,
) -> "dict[str, Relaxed]":
    """Results of an earlier run, each with its last file: the final structure.

    Raises:
        DataError: What lies there, finished or not, is of other work.
    """
    from ase_physml.calculators.provenance import identity_of
    from ase_physml.workflows.relax import finished, relaxation_identity

    potential = identity_of(calculator)
    found = {}
    for name, start in starts.items():
        made_of = relaxation_identity(
            start, potential, options.optimizer, options.fmax, options.steps
        )
        done = finished(start, beside(out / name, ".traj"), options.fmax, made_of)
        if done is not None and beside(out / name, ".xyz").is_file():
            found[name] = done
    return found


def _write(outcome: "Outcome", stem: Path, fmax: float, plotted: bool) -> "Outcome":
    """Write plot and final structure of a relaxation; the error of one that failed."""
    from ase_physml.jobs.disk import writing
    from ase_physml.workflows.plots import plot_relaxation
    from ase_physml.workflows.relax import write_final

    if isinstance(outcome, Exception):
        if not isinstance(outcome, PhysMLError):
            # Not foreseen, so its place matters.
            traceback.print_exception(outcome)
        return outcome
    try:
        with writing(stem.parent, _GO_ON):
            if plotted:
                plot_relaxation(outcome, beside(stem, ".png"), fmax)
            write_final(outcome, stem)
    except WriteError:
        raise
    except Exception as error:
        if not isinstance(error, PhysMLError):
            traceback.print_exc()
        return error
    return outcome


def _check_collect(path: Path | None, starts: "dict[str, Atoms]") -> None:
    """Refuse, before any work, a file that could not hold what comes of it."""
    from ase_physml.workflows.conformers.runs import check_ending

    if path is None:
        return
    check_ending(path)
    if path.suffix != ".sdf":
        return
    for name, start in starts.items():
        if not _has_bonds_of_its_smiles(start):
            raise StructureError(
                f"--collect {path}: {name} has no SMILES that say its bonds; name an "
                ".xyz or .h5 file"
            )


def _has_bonds_of_its_smiles(start: "Atoms") -> bool:
    """Whether it has SMILES, whose atoms are in its order."""
    from ase_physml.chem.bonds import bonded_pairs
    from ase_physml.chem.smiles import with_hydrogens

    smiles = start.info.get("smiles")
    if not isinstance(smiles, str):
        return False
    stated = {
        tuple(sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())))
        for bond in with_hydrogens(smiles).GetBonds()
    }
    return stated == {tuple(sorted(map(int, pair))) for pair in bonded_pairs(start)}


def _collect(path: Path, relaxed: "dict[str, Relaxed]", potential: str) -> None:
    """Write all structures to one file, as `physml conformers` does."""
    from ase_physml.workflows.conformers.runs import write_conformers
    from ase_physml.workflows.relax_many import write_relaxed

    if path.suffix == ".h5":
        write_relaxed(path, relaxed, potential)
        return
    for name, one in relaxed.items():
        one.atoms.info["name"] = name
    write_conformers(path, [one.atoms for one in relaxed.values()])


def _refuse_overwriting(inputs: list[str], out: Path) -> None:
    """A result is named after its input, and must not replace it."""
    for path in map(Path, inputs):
        written = path.suffix in _WRITTEN
        if written and path.is_file() and path.resolve().parent == out.resolve():
            raise StructureError(
                f"{path} lies in the folder of the results and could be overwritten by "
                "its own; choose another --out"
            )


def _rows(results: "dict[str, Outcome | None]", out: Path) -> list[dict[str, Any]]:
    """What scripts read of each structure."""
    rows: list[dict[str, Any]] = []
    for name, result in results.items():
        if isinstance(result, Exception):
            rows.append({"name": name, "error": str(result)})
        elif result is not None:
            rows.append(
                {
                    "name": name,
                    "formula": result.atoms.get_chemical_formula(),
                    "energy_eV": result.energies[-1],
                    "fmax_eV_per_A": result.fmax_history[-1],
                    "steps": result.steps,
                    "converged": result.converged,
                    "moved_A": result.moved,
                    "file": str(beside(out / name, ".xyz")),
                }
            )
    return rows


def _print_table(
    console: "Console", results: "dict[str, Outcome | None]", potential: str
) -> None:
    from rich.markup import escape

    table = make_table(f"relaxed with {potential}")
    table.add_column("name", overflow="fold")
    table.add_column("formula", overflow="fold")
    for column in ("energy (eV)", "fmax (eV/Å)", "steps"):
        table.add_column(column, justify="right")
    table.add_column("converged")
    for column in ("time (s)", "moved (Å)"):
        table.add_column(column, justify="right")
    for name, result in results.items():
        # Names hold brackets, as of [nH], that rich would take for markup.
        if result is None:
            continue
        if isinstance(result, Exception):
            table.add_row(escape(name), "", "", "", "", "[red]failed[/]", "", "")
            continue
        table.add_row(
            escape(name),
            result.atoms.get_chemical_formula(),
            f"{result.energies[-1]:.4f}",
            f"{result.fmax_history[-1]:.4f}",
            str(result.steps),
            "yes" if result.converged else "[yellow]no[/]",
            f"{result.seconds:.2f}",
            f"{result.moved:.3f}",
        )
    console.print(table)
