"""Verb `physml list`: the shipped potentials and models, a line each."""

import json
from dataclasses import asdict

import typer

from ase_physml.cli.options import AsJson

_COLUMNS, _GAP = 100, "  "


def list_shipped(as_json: AsJson = False) -> None:
    """List the shipped potentials and models: elements, level of theory, domain."""
    from ase_physml.store.catalogue import catalogue

    heads = ("name", "elements", "level of theory", "for")
    rows = [heads]
    shipped = catalogue()
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in shipped], indent=2))
        return
    for one in shipped:
        level = one.level_of_theory
        rows.append((one.name, short(one.elements), level, one.purpose))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = _COLUMNS - sum(widths) - len(_GAP) * len(widths)
    ends = ["not for", *(_fit(one.not_for, room) for one in shipped)]
    for row, end in zip(rows, ends, strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(_GAP.join([*cells, end]))
    typer.echo("\nMore of each, with measured errors: physml info NAME")


def short(elements: tuple[str, ...]) -> str:
    """Symbols; of many, those of H, C, N and O and the number of others."""
    if len(elements) <= 4:
        return " ".join(elements)
    organic = [symbol for symbol in ("H", "C", "N", "O") if symbol in elements]
    return f"{' '.join(organic)} +{len(elements) - len(organic)}"


def _fit(names: tuple[str, ...], room: int) -> str:
    """Names that fit into so many columns; dots for the rest."""
    for count in range(len(names), 0, -1):
        text = ", ".join(names[:count]) + (", ..." if count < len(names) else "")
        if len(text) <= room:
            return text
    return "..." if names else ""
