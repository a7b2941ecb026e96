"""Verb `physml doctor`: what is installed here, and how fast it is."""

import json
import os
import platform
import statistics
import sys
from importlib import metadata
from time import perf_counter
from typing import TYPE_CHECKING, Any

import typer

from ase_physml.cli.options import AsJson
from ase_physml.cli.shared import make_console

if TYPE_CHECKING:
    from ase_physml.calculators.physml import PhysMLCalculator

_CORE = ("torch", "ase", "numpy", "scipy", "rdkit", "vesin", "h5py")

# Extra to the packages that it brings, and what it is for.
_EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "xtb": (("tblite",), "GFN2-xTB: potentials on that baseline, labels"),
    "train": (("lightning", "tensorboard", "pytorch_optimizer"), "physml train"),
    "plot": (("matplotlib",), "pictures beside results"),
    "dask": (("distributed",), "--scheduler: many processes, clusters"),
    "geodesic": (("geodesic-interpolate",), "starts of paths in internal coordinates"),
    "openmm": (("openmm",), "PhysML as a force of OpenMM"),
    "torch-sim": (("torch-sim-atomistic",), "PhysML in torch-sim"),
    "oc20": (("lmdb",), "OC20's LMDB releases"),
    "scatter": (("torch-scatter",), "sums by torch-scatter"),
}

_MODEL, _SMILES = "qm9.pt", "CC(C)CC(=O)OC"  # 20 atoms
_SECONDS, _FEWEST = 2.0, 5


def doctor(
    speed: bool = typer.Option(True, help="Time evaluations, some ten seconds."),
    as_json: AsJson = False,
) -> None:
    """Show versions, devices, extras and the speed of this machine.

    To be sent along with a question. Exit code 1 if the shipped potential fails here.
    """
    found: dict[str, Any] = {
        "versions": _versions(),
        "machine": _machine(),
        "extras": {name: _extra(name) for name in _EXTRAS},
    }
    failed = False
    if speed:
        try:
            found["speed"] = _speed()
        except Exception as error:
            found["speed"], failed = f"failed: {type(error).__name__}: {error}", True
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _print(found)
    if failed:
        raise typer.Exit(1)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _versions() -> dict[str, str]:
    from ase_physml import __version__

    ours = {"ase-physml": __version__, "python": platform.python_version()}
    return ours | {name: _version(name) or "missing" for name in _CORE}


def _machine() -> dict[str, str]:
    import torch

    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    cards = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    return {
        "system": platform.platform(),
        "processors": str(os.cpu_count()),
        "threads of torch": f"{torch.get_num_threads()} (OMP_NUM_THREADS {threads})",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "GPUs": ", ".join(cards) or "none",
    }


def _extra(name: str) -> dict[str, str | None]:
    packages, purpose = _EXTRAS[name]
    versions = [_version(package) for package in packages]
    there = all(version is not None for version in versions)
    said = [f"{p} {v}" for p, v in zip(packages, versions, strict=True)]
    return {"installed": ", ".join(said) if there else None, "for": purpose}


def _speed() -> dict[str, Any]:
    """Time of energy and forces of a molecule that moves between calls, ms."""
    from ase_physml.calculators.physml import PhysMLCalculator
    from ase_physml.workflows.inputs import from_smiles

    atoms = from_smiles(_SMILES)
    found: dict[str, Any] = {"of": f"{len(atoms)} atoms by {_MODEL}, energy and forces"}
    calculators = {"default": PhysMLCalculator(_MODEL)}
    calculators["torch"] = PhysMLCalculator(_MODEL, backend="torch")
    for name, calculator in calculators.items():
        began = perf_counter()
        calculator.get_property("forces", atoms)
        first = perf_counter() - began
        found[name] = {
            "backend": "native" if calculator.loaded.is_native else "torch",
            "ms": _median(calculator, atoms),
            "first call, s": first,
        }
    return found


def _median(calculator: "PhysMLCalculator", atoms: Any) -> float:
    times: list[float] = []
    while sum(times) < _SECONDS or len(times) < _FEWEST:
        atoms.rattle(0.01, seed=len(times))
        began = perf_counter()
        calculator.get_property("forces", atoms)
        times.append(perf_counter() - began)
    return 1e3 * statistics.median(times)


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table

    console = make_console()
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (found["versions"] | found["machine"]).items():
        table.add_row(name, value)
    table.add_row("python at", sys.executable)
    console.print(table)
    console.print("\nextras: pip install 'ase-physml\\[NAME]'")
    extras = Table.grid(padding=(0, 2))
    for name, extra in found["extras"].items():
        there = extra["installed"]
        said = f"[green]{there}[/]" if there else "[yellow]not installed[/]"
        extras.add_row(name, said, extra["for"])
    console.print(extras)
    speed = found.get("speed")
    if isinstance(speed, str):
        console.print(f"\nspeed: {speed}", style="red", markup=False, soft_wrap=True)
    elif speed is not None:
        console.print(f"\nspeed: {speed['of']}")
        for name, one in speed.items():
            if name == "of":
                continue
            console.print(
                f"  {name} ({one['backend']}): {one['ms']:.1f} ms; the first call took "
                f"{one['first call, s']:.1f} s"
            )
