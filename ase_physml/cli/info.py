"""`physml info`: what a potential says of itself."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ase_physml.models.physml.model import PhysML
    from ase_physml.potentials.card import PotentialCard


def info(
    model: Annotated[str, typer.Argument(help="Shipped name or path.")] = "qm9.pt",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print the card of a potential, and the versions it runs on."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ase_physml.potentials.checkpoint import load_committee
    from ase_physml.potentials.registry import resolve

    path = resolve(model)
    members, card = load_committee(path)
    if as_json:
        typer.echo(_json(card))
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(card, path, members).items():
        table.add_row(escape(name), escape(value))
    # A pipe has no width of its own: leave room for a hash on one line.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(table)
    if card.domain == "equilibrium":
        console.print(
            "\n[yellow]Trained on equilibrium structures only: barriers and broken "
            "bonds are outside its domain.[/]",
            soft_wrap=True,
        )


def _rows(card: "PotentialCard", path: Path, members: "list[PhysML]") -> dict[str, str]:
    import ase
    import torch
    from ase.data import chemical_symbols

    from ase_physml import __version__
    from ase_physml.potentials.registry import sha256

    config = card.config
    weights = sum(p.numel() for p in members[0].parameters())
    spread = {f"  {name}": _number(value) for name, value in card.uncertainty.items()}
    measured = {f"  {name}": _number(value) for name, value in card.errors.items()}
    return {
        "name": card.name,
        "file": str(path),
        "sha256": sha256(path),
        "elements": " ".join(chemical_symbols[z] for z in card.elements),
        "cutoff": f"{config.cutoff:g} Å",
        "level of theory": card.level_of_theory,
        "domain": card.domain,
        "measured errors": "" if measured else "none recorded",
        **measured,
        **({"members": str(len(members)), **spread} if len(members) > 1 else {}),
        "architecture": f"width {config.width}, depth {config.depth}, "
        f"{config.heads} heads, [CLS] {config.cls}, {weights:,} weights",
        "units": ", ".join(f"{k} {v}" for k, v in card.units.items()),
        "created": card.created or "not recorded",
        "commit": card.commit or "not recorded",
        **{f"split of {k}": str(v) for k, v in card.split_hashes.items()},
        "running on": f"ase_physml {__version__}, torch {torch.__version__}, "
        f"ase {ase.__version__}",
    }


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else str(value)


def _json(card: "PotentialCard") -> str:
    import json

    return json.dumps(json.loads(card.to_json()), indent=2)
