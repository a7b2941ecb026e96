"""Verb `physml info`: the card of a potential, or of a model of molecules."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ase_physml.cli.options import AsJson
from ase_physml.cli.shared import name_some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from ase_physml.models.bonded_model import BondedModel
    from ase_physml.models.energy_model import EnergyModel
    from ase_physml.store.card import ModelCard

_EQUILIBRIUM = (
    "Trained on equilibrium structures only: barriers and broken bonds are outside its "
    "domain."
)


def info(
    model: Annotated[str, typer.Argument(help="Shipped name or path.")] = "qm9.pt",
    as_json: AsJson = False,
) -> None:
    """Print the card of a potential, and the versions it runs on."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ase_physml.store.checkpoint import (
        input_of,
        load_molecular,
        load_potentials,
    )
    from ase_physml.store.registry import not_for, resolve

    path = resolve(model)
    if input_of(path) == "bonds":
        network, about = load_molecular(path)
        rows, remark = _molecular_rows(about, path, network), ""
        content = asdict(about) | {"not_for": not_for(path)}
    else:
        members, card = load_potentials(path)
        rows, content = _rows(card, path, members), json.loads(card.to_json())
        remark = _EQUILIBRIUM if card.domain == "equilibrium" else ""
    if as_json:
        typer.echo(json.dumps(content, indent=2, sort_keys=True))
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(escape(name), escape(value))
    # A pipe has no width of its own: leave room for a hash on one line.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(table)
    if remark:
        console.print(f"\n[yellow]{remark}[/]", soft_wrap=True)


def _rows(
    card: "ModelCard", path: Path, members: "list[EnergyModel]"
) -> dict[str, str]:
    from ase.data import chemical_symbols

    from ase_physml.jobs.file_hash import sha256

    config = card.config
    return {
        "name": card.name,
        "file": str(path),
        "sha256": sha256(path),
        "elements": " ".join(chemical_symbols[z] for z in card.numbers),
        "cutoff": f"{config.cutoff:g} Å",
        "level of theory": card.level_of_theory,
        **_baseline(card),
        "domain": card.domain,
        "not for": ", ".join(card.not_for) or "not recorded",
        **_measured(card.errors),
        **_members(members, card.uncertainty),
        "architecture": f"{_switches(card)}, {_weights(members[0])}",
        "units": ", ".join(f"{k} {v}" for k, v in card.units.items()),
        "created": card.created or "not recorded",
        "commit": card.commit or "not recorded",
        **_origin(card.split_hashes),
    }


def _switches(card: "ModelCard") -> str:
    config = card.config
    if card.kind == "physml":
        size = f"width {config.width}, depth {config.depth}"
        return f"{size}, {config.heads} heads, [CLS] {config.cls}"
    said = (f"{k} {v}" for k, v in card.architecture.items() if k != "elements")
    return ", ".join([card.kind, *said])


def _baseline(card: "ModelCard") -> dict[str, str]:
    if not card.baseline:
        return {}
    said = f"{card.baseline}: added to the potential, and most of the time of a call"
    return {"baseline": said}


def _molecular_rows(
    card: "ModelCard", path: Path, model: "BondedModel"
) -> dict[str, str]:
    from ase_physml.jobs.file_hash import sha256
    from ase_physml.models.ensemble import members_of
    from ase_physml.store.registry import not_for

    unit = f" ({card.unit})" if card.unit else ""
    members = members_of(model)
    said = (name_some(card.target_names) or "conformations") + unit
    return {
        "name": card.name,
        "file": str(path),
        "sha256": sha256(path),
        "model": card.config.model_name,
        "predicts": said,
        "heavy elements": " ".join(card.elements) or "not recorded",
        "not for": ", ".join(not_for(path)) or "not recorded",
        **_measured(card.errors),
        **_members(members, card.uncertainty),
        "architecture": _weights(members[0]),
        "created": card.created or "not recorded",
        **_origin(card.split_hashes),
    }


def _members(
    members: "Sequence[nn.Module]", spread: dict[str, float]
) -> dict[str, str]:
    if len(members) == 1:
        return {}
    listed = {f"  {name}": _number(value) for name, value in spread.items()}
    return {"members": str(len(members)), **listed}


def _measured(errors: dict[str, float]) -> dict[str, str]:
    listed = {f"  {name}": _number(value) for name, value in errors.items()}
    return {"measured errors": "" if listed else "none recorded", **listed}


def _origin(split_hashes: dict[str, str]) -> dict[str, str]:
    import ase
    import torch

    from ase_physml import __version__

    return {
        **{f"split of {k}": str(v) for k, v in split_hashes.items()},
        "running on": f"ase_physml {__version__}, torch {torch.__version__}, "
        f"ase {ase.__version__}",
    }


def _weights(model: "nn.Module") -> str:
    return f"{sum(p.numel() for p in model.parameters()):,} weights"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else str(value)
