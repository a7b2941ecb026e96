"""Files of PhysChem and HamNet models: as potentials, tensors and JSON alone."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from ase_physml.errors import PotentialError
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.hamnet.engine import HamNetEngine
from ase_physml.models.hamnet.model import HamNet
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem
from ase_physml.models.property_committee import PropertyCommittee
from ase_physml.models.property_head import Head, PropertyHead
from ase_physml.potentials.card import read_json
from ase_physml.potentials.checkpoint import (
    MOLECULAR_FORMAT,
    damaged,
    read_file,
    write_file,
)
from ase_physml.potentials.state import members_of_state
from ase_physml.torch_state import plain_torch
from ase_physml.typed import build

SingleModel = PhysChem | HamNet | HamNetEngine
MolecularModel = SingleModel | PropertyCommittee
Kind = Literal["physchem", "hamnet"]


_VERSION = 2


@dataclass(frozen=True)
class MolecularCard:
    """What a model of molecules says of itself.

    Attributes:
        name: Short name.
        kind: Which of the models.
        architecture: Its configuration as a dict.
        target_names: Of the properties it predicts; none for conformations alone.
        task: "regression", "classification" or "multiclass".
        unit: Of the properties.
        elements: Of heavy atoms in what it was trained on, by their symbols, and
            "others"; empty if that is not known.
        order: Of atoms in the graphs it was trained on; it must read them so.
        split_hashes: Data file to the hash of the split it was trained on.
        errors: Measured errors, their units in the keys.
        uncertainty: Of a committee: how its spread compares with its errors.
        training: Recipe and steps.
        created: UTC time, ISO 8601.
        format_version: Of the file.
    """

    name: str
    kind: Kind
    architecture: dict[str, Any]
    target_names: list[str] = field(default_factory=list)
    task: Head = "regression"
    unit: str = ""
    elements: list[str] = field(default_factory=list)
    order: str = "smiles"
    split_hashes: dict[str, str] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    uncertainty: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    created: str = field(
        default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds")
    )
    format_version: int = _VERSION


def build_molecular(kind: Kind, architecture: dict[str, Any]) -> SingleModel:
    """A model with random weights; of HamNet without targets, the engine alone.

    Raises:
        PotentialError: No such kind, or an unusable architecture.
    """
    builders: dict[str, Callable[[], SingleModel]] = {
        "physchem": lambda: PhysChem(PhysChemConfig.from_dict(architecture)),
        "hamnet": lambda: _hamnet(HamNetConfig.from_dict(architecture)),
    }
    if kind not in builders:
        raise PotentialError(
            f"no model of the kind {kind!r}; there are {', '.join(builders)}"
        )
    return builders[kind]()


def head_of(model: MolecularModel) -> PropertyHead | None:
    """What predicts properties, if anything does."""
    return None if isinstance(model, HamNetEngine) else model.head


def members_of(model: MolecularModel) -> list[SingleModel]:
    """The members of a committee, or the model itself alone."""
    return [*model.members] if isinstance(model, PropertyCommittee) else [model]


def save_molecular(
    path: str | Path, model: MolecularModel, card: MolecularCard
) -> None:
    """Write a model or a committee; its name is there only when it is complete."""
    states = [
        {k: v.detach().cpu().clone() for k, v in member.state_dict().items()}
        for member in members_of(model)
    ]
    # Single models stay readable by what knew nothing of committees.
    version = 1 if len(states) == 1 else _VERSION
    about = asdict(replace(card, format_version=version))
    if version == 1:
        del about["uncertainty"]
    state = states[0] if len(states) == 1 else states
    write_file(Path(path), MOLECULAR_FORMAT, version, json.dumps(about), state)


@plain_torch()
def load_molecular(path: str | Path) -> tuple[MolecularModel, MolecularCard]:
    """Read a model, or a committee, on the CPU and in evaluation mode.

    Raises:
        PotentialError: Missing, damaged, from a newer version, or something else.
            Nothing in it is executed.
    """
    content = read_file(Path(path), MOLECULAR_FORMAT, _VERSION)
    with damaged(path):
        values = read_json(content["metadata"])
        card = build(MolecularCard, values, "metadata", PotentialError)
        members = members_of_state(content["state"], partial(_empty, card))
        model = members[0] if len(members) == 1 else PropertyCommittee(members)
        _check_targets(model, card)
    return model.eval(), card


def _empty(card: MolecularCard, dtype: torch.dtype) -> SingleModel:
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        return build_molecular(card.kind, card.architecture).to(dtype)


def _check_targets(model: MolecularModel, card: MolecularCard) -> None:
    """Raise a `PotentialError` if the card describes other answers than there are."""
    config, names = model.config, card.target_names
    if names and len(names) != config.targets:
        raise PotentialError(f"has {config.targets} targets and {len(names)} names")
    if names and card.task != config.head:
        raise PotentialError(f"its task is {card.task}, its head for {config.head}")


def _hamnet(config: HamNetConfig) -> HamNet | HamNetEngine:
    return HamNet(config) if config.targets else HamNetEngine(config)


def engine_of(model: MolecularModel) -> HamNetEngine | None:
    """The engine of a HamNet, or an engine itself."""
    found = model.engine if isinstance(model, HamNet) else model
    return found if isinstance(found, HamNetEngine) else None
