"""Potential files: tensors and JSON, nothing that could run.

A file is a `torch.save` of ``{"format", "format_version", "metadata", "state"}`` and is
read with ``weights_only=True``: a file that holds anything else is refused unopened.
Of a committee, ``state`` is a list with the weights of every member.
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

from ase_physml.errors import PotentialError
from ase_physml.jobs.disk import atomic_write
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.potentials import registry
from ase_physml.potentials.card import FORMAT_VERSION, PotentialCard
from ase_physml.potentials.state import members_of_state
from ase_physml.torch_state import plain_torch
from ase_physml.typed import brief

_FORMAT = "ase_physml"
MOLECULAR_FORMAT = "ase_physml molecular"
_HOLDS = {
    _FORMAT: "a PhysML potential",
    MOLECULAR_FORMAT: "a PhysChem or HamNet model",
}


def save_potential(
    path: str | Path, model: PhysML | Sequence[PhysML], card: PotentialCard
) -> None:
    """Write a potential; the file appears under its name only when it is complete.

    Args:
        path: File to write, replaced if it exists.
        model: Weights, or those of all members of a committee.
        card: Metadata; its architecture must be that of the model.

    Raises:
        PotentialError: The card describes another architecture.
    """
    members = [model] if isinstance(model, PhysML) else list(model)
    if any(card.config != member.config for member in members):
        raise PotentialError(
            f"{path}: the card describes another architecture than the model has"
        )
    version = 1 if len(members) == 1 else FORMAT_VERSION
    states = [
        {k: v.detach().cpu().clone() for k, v in member.state_dict().items()}
        for member in members
    ]
    metadata = replace(card, format_version=version).to_json()
    state = states[0] if len(members) == 1 else states
    write_file(Path(path), _FORMAT, version, metadata, state)


def write_file(path: Path, kind: str, version: int, metadata: str, state: Any) -> None:
    """Write a file of any format that `read_file` reads.

    Args:
        path: File to write, replaced if it exists.
        kind: Name of the format.
        version: Of the format.
        metadata: JSON text.
        state: Tensors in dicts and lists.
    """
    content = {
        "format": kind,
        "format_version": version,
        "metadata": metadata,
        "state": state,
    }
    write_archive(path, content)


def write_archive(path: Path, content: Any) -> None:
    """Write tensors and plain values; what was there is replaced by a whole file."""
    # By way of memory: torch hides what goes wrong with a file it writes to.
    buffer = BytesIO()
    torch.save(content, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, sync=True) as partial:
        partial.write_bytes(buffer.getbuffer())


def load_potential(
    path: str | Path, member: int | None = None
) -> tuple[PhysML, PotentialCard]:
    """Read one set of weights on the CPU, in evaluation mode.

    Args:
        path: A potential.
        member: Of a committee, which; with None it must have one member only.

    Raises:
        PotentialError: As `load_committee`, or no such member.
    """
    members, card = load_committee(path)
    if member is None and len(members) > 1:
        raise PotentialError(
            f"{path}: a committee of {len(members)}; say which member is meant"
        )
    if not 0 <= (member or 0) < len(members):
        raise PotentialError(
            f"{path}: has members 0 to {len(members) - 1}, not {member}"
        )
    return members[member or 0], card


@plain_torch()
def load_committee(path: str | Path) -> tuple[list[PhysML], PotentialCard]:
    """Read all members of a potential on the CPU, in evaluation mode.

    Raises:
        PotentialError: Missing, truncated, not a potential, from a newer version, or
            with weights that do not fit its architecture. Nothing in it is executed.
    """
    content = read_file(Path(path), _FORMAT, FORMAT_VERSION)
    with damaged(path):
        card = PotentialCard.from_json(content["metadata"])
        card = replace(card, not_for=card.not_for or registry.not_for(Path(path)))
        members = members_of_state(content["state"], partial(build, card.config))
    return members, card


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


@plain_torch()
def build(config: PhysMLConfig, dtype: torch.dtype) -> PhysML:
    """A model to load weights into, on the CPU, whatever torch's global state.

    Draws nothing from torch's random numbers; element data are those of float32, in
    which potentials are trained, even where float64 is torch's default.
    """
    with torch.random.fork_rng(devices=[]):
        model = PhysML(config).float().to(dtype)
    model.self_energies = model.self_energies.double()
    return model


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


def format_of(path: str | Path) -> str:
    """Name of the format of a file: of potentials, or of molecular models.

    Raises:
        PotentialError: Missing, truncated or of neither.
    """
    return str(_content(Path(path))["format"])


def read_file(path: Path, kind: str, newest: int) -> dict[str, Any]:
    """Content of a file, none of which is executed.

    Args:
        path: File.
        kind: Name of the format that it must have.
        newest: Version of the format that is read.

    Raises:
        PotentialError: Missing, truncated, of another format or a newer version.
    """
    content = _content(path)
    if content["format"] != kind:
        found = _HOLDS.get(str(content["format"]), "an unknown format")
        raise PotentialError(
            f"{path}: holds {found}, where {_HOLDS[kind]} is needed; give one"
        )
    version = content["format_version"]
    if type(version) is not int or not 1 <= version <= newest:
        raise PotentialError(
            f"{path}: of format version {brief(version)}, but this ase_physml reads "
            f"up to {newest}; upgrade with `pip install -U ase-physml`"
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
