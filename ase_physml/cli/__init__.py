"""The `physml` command: one file per verb, each parses, calls and prints."""

import sys
import warnings
from typing import NoReturn, TextIO

import typer

from ase_physml import __version__
from ase_physml.cli.committee import committee
from ase_physml.cli.conformers import conformers
from ase_physml.cli.data import app as data_app
from ase_physml.cli.doctor import doctor
from ase_physml.cli.evaluate import evaluate
from ase_physml.cli.info import info
from ase_physml.cli.list import list_shipped
from ase_physml.cli.neb import neb
from ase_physml.cli.pathway import pathway
from ase_physml.cli.predict import predict
from ase_physml.cli.relax import relax
from ase_physml.cli.saddle import saddle
from ase_physml.cli.train import train
from ase_physml.cli.vib import vib
from ase_physml.errors import PhysMLError, WriteError
from ase_physml.jobs.disk import FULL, reason

_STRUCTURES, _MOLECULES = "Structures", "Molecules, from SMILES"
_TRAINING, _TRUST, _HERE = "Training", "What to trust", "This installation"

app = typer.Typer(
    help="Physics-driven potentials for ASE.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command(rich_help_panel=_STRUCTURES)(relax)
app.command(rich_help_panel=_STRUCTURES)(neb)
app.command(rich_help_panel=_STRUCTURES)(pathway)
app.command(rich_help_panel=_STRUCTURES)(saddle)
app.command(rich_help_panel=_STRUCTURES)(vib)
app.command(rich_help_panel=_MOLECULES)(conformers)
app.command(rich_help_panel=_MOLECULES)(predict)
app.command(rich_help_panel=_TRAINING)(train)
app.add_typer(data_app, name="data", rich_help_panel=_TRAINING)
app.command(rich_help_panel=_TRAINING)(committee)
app.command(rich_help_panel=_TRUST)(evaluate)
app.command("list", rich_help_panel=_TRUST)(list_shipped)
app.command(rich_help_panel=_TRUST)(info)
app.command(rich_help_panel=_HERE)(doctor)


def _version(value: bool) -> None:
    if value:
        print(f"ase-physml {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def _warn(
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001 - as Python calls it
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """In one line, without the place in the code that Python would print."""
    print(f"warning: {message}", file=sys.stderr)


def main() -> None:
    """Entry point: what a user can cause is one line, not a traceback."""
    warnings.showwarning = _warn
    try:
        app()
    except WriteError as error:
        _fail(str(error), 1)
    except PhysMLError as error:
        _fail(str(error), 2)
    except OSError as error:
        if error.errno in FULL:
            _fail(f"{error.filename or 'the disk'}: {reason(error)}; make room", 1)
        if error.filename is None:
            raise  # not about a file that anybody named
        _fail(f"{error.filename}: {reason(error)}", 2)


def _fail(message: str, code: int) -> NoReturn:
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print("[bold red]error:[/]", end=" ")
    console.print(message, markup=False)
    sys.exit(code)
