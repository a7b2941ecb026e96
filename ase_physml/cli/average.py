"""`physml average`: the mean of the weights of potentials."""

from pathlib import Path
from typing import Annotated

import typer

from ase_physml.errors import PhysMLError


def average(
    models: Annotated[
        list[str], typer.Argument(help="Potentials trained from one another.")
    ],
    out: Annotated[Path, typer.Option(help="Potential to write.")],
    shares: Annotated[
        str | None,
        typer.Option(help="Weight of each, with commas between; equal otherwise."),
    ] = None,
) -> None:
    """Average the weights of a potential and of those fine-tuned from it.

    The mean often keeps what fine-tuning gained and what it forgot. Its errors are not
    known: measure them.
    """
    from ase_physml.potentials.registry import resolve
    from ase_physml.tasks.average import average_potentials

    # Absolute: "./qm9.pt" must not become the shipped one further down.
    files = [resolve(model).absolute() for model in models]
    average_potentials(files, out, None if shares is None else _numbers(shares))
    typer.echo(f"{out}: mean of {len(files)} potentials")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise PhysMLError(
            f"--shares takes numbers with commas, not {text!r}"
        ) from error
