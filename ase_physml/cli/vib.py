"""Verb `physml vib`: vibrations and thermochemistry of structures."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_physml.cli.options import (
    Device,
    Dtype,
    FloatType,
    Fmax,
    Folder,
    Jobs,
    MaxAtoms,
    Model,
    Overwrite,
    Resume,
    Seed,
    SmilesColumn,
    Structures,
)
from ase_physml.cli.outputs import results_in, stoppable
from ase_physml.cli.progress import falling
from ase_physml.cli.shared import (
    beside,
    make_calculator_for,
    make_console,
    make_table,
    print_errors,
)
from ase_physml.errors import PhysMLError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from rich.console import Console

    from ase_physml.jobs.identity import Identity
    from ase_physml.workflows.vibrations.normal_modes import Vibrations
    from ase_physml.workflows.vibrations.thermochemistry import (
        Conditions,
        Thermochemistry,
    )

_WRITTEN = (".vib.json", ".molden", ".modes.traj", ".xyz", ".png")
_FORMAT = 1
_STEPS = 500


class Low(StrEnum):
    """Treatments of modes below 100 cm-1."""

    harmonic = "harmonic"
    grimme = "grimme"
    truhlar = "truhlar"


@dataclass(frozen=True)
class _Found:
    vibrations: "Vibrations"
    thermo: "Thermochemistry | Exception"


def vib(
    inputs: Structures,
    model: Model = "organic_delta.pt",
    out: Folder = Path("vibrations"),
    relax: Annotated[
        bool, typer.Option(help="Relax first, to the minimum; not of a saddle.")
    ] = True,
    fmax: Fmax = 0.005,
    step: Annotated[float, typer.Option(help="Displacement of an atom, Å.")] = 0.005,
    temperature: Annotated[float, typer.Option(help="K.")] = 298.15,
    pressure: Annotated[float, typer.Option(help="Pa.")] = 101325.0,
    symmetry_number: Annotated[
        int | None,
        typer.Option(min=1, help="Of rotations; if not said, of the geometry."),
    ] = None,
    low_modes: Annotated[
        Low, typer.Option(help="Entropy of modes below 100 cm-1.")
    ] = Low.grimme,
    smiles_column: SmilesColumn = None,
    max_atoms: MaxAtoms = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
    dtype: FloatType = Dtype.float64,
    jobs: Jobs = 1,
    seed: Seed = 0,
) -> None:
    """Vibrations, spectrum and thermochemistry, of many structures in batches.

    Each gets NAME.vib.json, NAME.molden, NAME.modes.traj, NAME.xyz and NAME.png. Exit
    code 1 if an input failed or is no minimum: forces left, imaginary modes.
    """
    from ase_physml.calculators.provenance import identities_of
    from ase_physml.chem.embed import MAX_ATOMS
    from ase_physml.workflows.inputs import read_inputs
    from ase_physml.workflows.vibrations.thermochemistry import Conditions, LowModes

    for option, value in {"--fmax": fmax, "--step": step}.items():
        if not value > 0:
            raise typer.BadParameter(f"must be above 0, got {value}", param_hint=option)
    calculator = make_calculator_for(model, device, dtype, jobs)
    conditions = Conditions(
        temperature, pressure, symmetry_number, LowModes(low_modes.value)
    )
    results: dict[str, Any] = {}
    starts: dict[str, Atoms] = {}
    for name, start in read_inputs(inputs, seed, smiles_column, max_atoms or MAX_ATOMS):
        results[name] = start  # keeps the order of the table
        if not isinstance(start, PhysMLError):
            starts[name] = start
    stems = [beside(out / name, kind) for name in starts for kind in _WRITTEN]
    with (
        stoppable(f"finished structures are kept in {out}/; go on with --resume"),
        results_in(out, stems, resume=resume, overwrite=overwrite) as place,
    ):
        done_with = fmax if relax else None, step
        made_of = identities_of("vib", _FORMAT, starts, calculator, done_with)
        place.begin()
        left = {
            name: start
            for name, start in starts.items()
            if not (place.going_on and _is_done(out / name, made_of[name], conditions))
        }
        relaxed = _relaxed(left, calculator, fmax if relax else None)
        results.update(_vibrate(relaxed, calculator, step, conditions, out, made_of))
    kept = [name for name in starts if name not in left]
    console = make_console()
    if kept:
        console.print(f"{len(kept)} done already, and kept: see their .vib.json")
    shown = {name: one for name, one in results.items() if name not in kept}
    flawed = _print(console, shown, conditions, model)
    console.print(f"written to {out}/", markup=False, soft_wrap=True)
    if print_errors(shown) or flawed:
        raise typer.Exit(1)


def _is_done(stem: Path, made_of: "Identity", conditions: "Conditions") -> bool:
    """Whether an earlier run has done one; other conditions are done anew.

    Raises:
        DataError: What lies there is of other work.
    """
    import json

    from ase_physml.workflows.relax import AFRESH

    path = beside(stem, ".vib.json")
    if not path.is_file():
        return False
    stored = json.loads(path.read_text("utf-8"))
    made_of.check(stored.get("made_of"), path, AFRESH)
    thermo = stored.get("thermochemistry")
    if not isinstance(thermo, dict):
        return False
    used = thermo["conditions"]
    same = all(
        used[key] == getattr(conditions, key)
        for key in ("temperature", "pressure", "low_modes")
    )
    asked = conditions.symmetry_number
    return same and asked in (None, used["symmetry_number"])


def _relaxed(
    starts: "dict[str, Atoms]", calculator: "Calculator", fmax: float | None
) -> "dict[str, Atoms | Exception]":
    from ase_physml.workflows.relax_many import relax_many

    if fmax is None or not starts:
        return dict(starts)
    with falling("relaxing", len(starts), fmax) as show:
        found = relax_many(
            list(starts.values()), calculator, fmax=fmax, steps=_STEPS, on_step=show
        )
    return {
        name: one if isinstance(one, Exception) else one.atoms
        for name, one in zip(starts, found, strict=True)
    }


def _vibrate(
    structures: "dict[str, Atoms | Exception]",
    calculator: "Calculator",
    step: float,
    conditions: "Conditions",
    out: Path,
    made_of: "dict[str, Identity]",
) -> dict[str, Any]:
    from ase_physml.workflows.vibrations.normal_modes import vibrations_many
    from ase_physml.workflows.vibrations.thermochemistry import thermochemistry

    found: dict[str, Any] = dict(structures)
    good = {n: one for n, one in structures.items() if not isinstance(one, Exception)}
    done = vibrations_many(list(good.values()), calculator, step=step)
    for name, one in zip(good, done, strict=True):
        found[name] = one
        if isinstance(one, Exception):
            continue
        try:
            thermo: Thermochemistry | Exception = thermochemistry(one, conditions)
        except PhysMLError as error:
            thermo = error
        found[name] = _Found(one, thermo)
        _write(out / name, found[name], made_of[name])
    return found


def _write(stem: Path, found: _Found, made_of: "Identity") -> None:
    from ase_physml.data.files.xyz import write_xyz
    from ase_physml.workflows.plots import plot_spectrum
    from ase_physml.workflows.vibrations.files import (
        labelled,
        write_modes,
        write_molden,
        write_numbers,
    )

    vibrations = found.vibrations
    write_molden(beside(stem, ".molden"), vibrations)
    write_modes(beside(stem, ".modes.traj"), vibrations)
    write_xyz(beside(stem, ".xyz"), [labelled(vibrations)])
    plot_spectrum(vibrations, beside(stem, ".png"))
    # Last: it says that all are there.
    write_numbers(beside(stem, ".vib.json"), vibrations, found.thermo, made_of.values)


def _print(
    console: "Console", results: dict[str, Any], conditions: "Conditions", model: str
) -> bool:
    """Print a row for each structure, and remarks; whether one is no minimum."""
    from rich.markup import escape

    table = make_table(
        f"vibrations by {model}, at {conditions.temperature:g} K and "
        f"{conditions.pressure:g} Pa"
    )
    table.add_column("name", overflow="fold")
    for column in ("modes", "lowest (cm-1)", "imaginary", "ZPE (eV)", "H (eV)"):
        table.add_column(column, justify="right")
    for column in ("S (meV/K)", "G (eV)", "sigma"):
        table.add_column(column, justify="right")
    for name, one in results.items():
        if isinstance(one, _Found):
            table.add_row(escape(name), *_row(one))
        else:
            table.add_row(escape(name), "[red]failed[/]")
    console.print(table)
    flawed = False
    for name, one in results.items():
        if not isinstance(one, _Found):
            continue
        said = [*one.vibrations.remarks]
        flawed = flawed or bool(said)
        if isinstance(one.thermo, Exception):
            said.append(str(one.thermo))
        for remark in said:
            console.print(f"[yellow]{escape(f'{name}: {remark}')}[/]", soft_wrap=True)
        if not isinstance(one.thermo, Exception):
            for remark in one.thermo.remarks:
                console.print(f"{name}: {remark}", markup=False, soft_wrap=True)
    return flawed


def _row(one: _Found) -> list[str]:
    found, thermo = one.vibrations, one.thermo
    lowest = f"{found.frequencies[0]:.1f}" if len(found.frequencies) else ""
    cells = [str(len(found.frequencies)), lowest, str(len(found.imaginary))]
    cells.append(f"{found.zero_point_energy:.4f}")
    if isinstance(thermo, Exception):
        return [*cells, "", "", "", ""]
    number = str(thermo.conditions.symmetry_number)
    return [
        *cells,
        f"{thermo.enthalpy:.4f}",
        f"{1e3 * thermo.entropy:.4f}",
        f"{thermo.free_energy:.4f}",
        number,
    ]
