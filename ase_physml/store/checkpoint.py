"""Files of models: tensors and JSON, nothing that could run.

A file is a `torch.save` of ``{"format", "format_version", "metadata", "state"}`` and is
read with ``weights_only=True``: a file that holds anything else is refused unopened.
Of an ensemble, ``state`` is a list with the weights of every member.
"""

import pickle
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ase_physml.errors import PotentialError
from ase_physml.jobs.disk import atomic_write
from ase_physml.models.architecture import Input, architecture
from ase_physml.models.bonded_model import BondedModel
from ase_physml.models.energy_model import EnergyModel
from ase_physml.models.ensemble import Ensemble, members_of
from ase_physml.store import registry
from ase_physml.store.card import FORMAT_VERSION, ModelCard
from ase_physml.store.state import members_of_state
from ase_physml.torch_state import plain_torch
from ase_physml.typed import brief

_FORMATS: dict[Input, str] = {"atoms": "ase_physml", "bonds": "ase_physml molecular"}
_HOLDS: dict[Input, str] = {
    "atoms": "a PhysML potential",
    "bonds": "a PhysChem or HamNet model",
}


def save_model(
    path: str | Path, model: nn.Module | Sequence[nn.Module], card: ModelCard
) -> None:
    """Write a model; the file appears under its name only when it is complete.

    Args:
        path: File to write, replaced if it exists.
        model: A model, an ensemble, or all members of one.
        card: Metadata; its architecture must be that of the model.

    Raises:
        PotentialError: The card describes another architecture.
    """
    members = _members(model)
    if any(card.config != member.config for member in members):
        raise PotentialError(
            f"{path}: the card describes another architecture than the model has"
        )
    # Single models stay readable by what knew nothing of ensembles.
    version = 1 if len(members) == 1 else FORMAT_VERSION
    states = [
        {k: v.detach().cpu().clone() for k, v in member.state_dict().items()}
        for member in members
    ]
    content = {
        "format": _FORMATS[card.model.reads],
        "format_version": version,
        "metadata": replace(card, format_version=version).to_json(),
        "state": states[0] if len(members) == 1 else states,
    }
    write_archive(Path(path), content)


def _members(model: nn.Module | Sequence[nn.Module]) -> list[Any]:
    if isinstance(model, BondedModel):
        return list(members_of(model))
    return [model] if isinstance(model, nn.Module) else list(model)


def load_potential(
    path: str | Path, member: int | None = None
) -> tuple[EnergyModel, ModelCard]:
    """Energy model on the CPU, in evaluation mode.

    Args:
        path: A potential.
        member: Member of an ensemble; with None there must be one only.

    Raises:
        PotentialError: As `load_members`, or no such member.
    """
    members, card = load_potentials(path)
    if member is None and len(members) > 1:
        raise PotentialError(
            f"{path}: a committee of {len(members)}; say which member is meant"
        )
    if not 0 <= (member or 0) < len(members):
        raise PotentialError(
            f"{path}: has members 0 to {len(members) - 1}, not {member}"
        )
    return members[member or 0], card


def load_potentials(path: str | Path) -> tuple[list[EnergyModel], ModelCard]:
    """All members of a potential.

    Raises:
        PotentialError: As `load_members`.
    """
    return load_members(path, "atoms")


def load_molecular(path: str | Path) -> tuple[BondedModel, ModelCard]:
    """Model of molecules, an `Ensemble` if the file has several members.

    Raises:
        PotentialError: As `load_members`.
    """
    members, card = load_members(path, "bonds")
    return members[0] if len(members) == 1 else Ensemble(members).eval(), card


@plain_torch()
def load_members(path: str | Path, reads: Input) -> tuple[list[Any], ModelCard]:
    """All members of a file on the CPU, in evaluation mode.

    Args:
        path: File.
        reads: Input that the model must have.

    Raises:
        PotentialError: Missing, truncated, no model of this kind, from a newer version,
            or with weights that do not fit its architecture. Nothing in it is executed.
    """
    content = _content_for(Path(path), reads)
    with damaged(path):
        card = ModelCard.from_json(content["metadata"])
        if card.model.reads != reads:
            raise PotentialError(f"metadata: {card.kind} in a file of another kind")
        card = replace(card, not_for=card.not_for or registry.not_for(Path(path)))
        members = members_of_state(content["state"], partial(build, card))
        _check_targets(card)
    return members, card


def _check_targets(card: ModelCard) -> None:
    """Raise a `PotentialError` if the card describes other answers than there are."""
    config, names = card.config, card.target_names
    if names and len(names) != config.targets:
        raise PotentialError(f"has {config.targets} targets and {len(names)} names")
    if names and card.task != config.head:
        raise PotentialError(f"its task is {card.task}, its head for {config.head}")


@contextmanager
def damaged(path: str | Path) -> Iterator[None]:
    """Say of which file an error is; a damaged one can hold any value in any place."""
    try:
        yield
    except Exception as error:
        said = str(error) if isinstance(error, PotentialError) else repr(error)
        raise PotentialError(
            f"{path}: not usable: {' '.join(said.split())}; the file is damaged or not "
            "of this package, get it again"
        ) from error


def build(card: ModelCard, dtype: torch.dtype) -> nn.Module:
    """A model to load weights into; see `build_empty`."""
    return build_empty(card.kind, card.config, dtype)


@plain_torch()
def build_empty(kind: str, config: Any, dtype: torch.dtype) -> nn.Module:
    """A model to load weights into, on the CPU, whatever torch's global state.

    Draws nothing from torch's random numbers; element data are those of float32, in
    which potentials are trained, even where float64 is torch's default.
    """
    with torch.random.fork_rng(devices=[]):
        model = architecture(kind).build(config).float().to(dtype)
    if isinstance(model, EnergyModel):
        model.self_energies = model.self_energies.double()
    return model


def write_archive(path: Path, content: Any) -> None:
    """Write tensors and plain values; what was there is replaced by a whole file."""
    # By way of memory: torch hides what goes wrong with a file it writes to.
    buffer = BytesIO()
    torch.save(content, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, sync=True) as partial:
        partial.write_bytes(buffer.getbuffer())


def _is_archive(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        # It has an end record, with nonsense in it.
        return False


def _verify_checksums(path: Path) -> None:
    """Torch reads an archive without looking at its checksums."""
    with zipfile.ZipFile(path) as archive:
        # Torch writes nothing compressed; what is could be of any size once read.
        if any(one.compress_type != zipfile.ZIP_STORED for one in archive.infolist()):
            raise zipfile.BadZipFile("compressed")
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(damaged)


def input_of(path: str | Path) -> Input:
    """Input of the model in a file: "atoms" or "bonds".

    Raises:
        PotentialError: Missing, truncated or no model.
    """
    name = _content(Path(path))["format"]
    found: list[Input] = [k for k, v in _FORMATS.items() if v == name]
    if not found:
        raise PotentialError(f"{path}: not a potential of this package")
    return found[0]


def _content_for(path: Path, reads: Input) -> dict[str, Any]:
    content = _content(path)
    if content["format"] != _FORMATS[reads]:
        found = [_HOLDS[k] for k, v in _FORMATS.items() if v == content["format"]]
        held = found[0] if found else "an unknown format"
        raise PotentialError(
            f"{path}: holds {held}, where {_HOLDS[reads]} is needed; give one"
        )
    version = content["format_version"]
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise PotentialError(
            f"{path}: of format version {brief(version)}, but this ase_physml reads "
            f"up to {FORMAT_VERSION}; upgrade with `pip install -U ase-physml`"
        )
    return content


def _content(path: Path) -> dict[str, Any]:
    content = read_archive(path, "a potential of this package")
    keys = {"format", "format_version", "metadata", "state"}
    if isinstance(content, dict) and keys <= content.keys():
        return content
    raise PotentialError(f"{path}: not a potential of this package")


def read_archive(path: Path, what: str) -> Any:
    """Content of what `write_archive` has written, none of which is executed.

    Args:
        path: File.
        what: It should be, for messages.

    Raises:
        PotentialError: Missing, truncated, or holding more than tensors and values.
    """
    if path.is_dir():
        raise PotentialError(f"{path}: is a directory, not {what}")
    if not path.exists():
        raise PotentialError(f"{path}: no such file")
    # Anything but a zip archive would go to torch's reader of old pickles.
    if not _is_archive(path):
        raise PotentialError(f"{path}: truncated or not {what}; get it again")
    try:
        _verify_checksums(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PotentialError(
            f"{path}: not {what}: it holds more than tensors and text, or is damaged; "
            "nothing in it was run"
        ) from error
    except Exception as error:
        # torch raises nearly anything for a damaged archive.
        raise PotentialError(f"{path}: damaged or not {what}; get it again") from error
