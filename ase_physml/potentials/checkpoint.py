"""Potential files: tensors and JSON, nothing that could run.

A file is a `torch.save` of ``{"format", "format_version", "metadata", "state"}`` and is
read with ``weights_only=True``: a file that holds anything else is refused unopened.
"""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from ase_physml.errors import PotentialError
from ase_physml.models.physml.model import PhysML, PhysMLConfig
from ase_physml.potentials.card import FORMAT_VERSION, PotentialCard

_FORMAT = "ase_physml"


def save_potential(path: str | Path, model: PhysML, card: PotentialCard) -> None:
    """Write a potential; the file appears under its name only when it is complete.

    Args:
        path: File to write, replaced if it exists.
        model: Weights.
        card: Metadata; its architecture must be that of the model.

    Raises:
        PotentialError: The card describes another architecture.
    """
    if card.config != model.config:
        raise PotentialError(
            f"{path}: the card describes another architecture than the model has"
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    content = {
        "format": _FORMAT,
        "format_version": FORMAT_VERSION,
        "metadata": card.to_json(),
        "state": {k: v.detach().cpu().clone() for k, v in model.state_dict().items()},
    }
    try:
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def load_potential(path: str | Path) -> tuple[PhysML, PotentialCard]:
    """Read a potential on the CPU, in evaluation mode.

    Raises:
        PotentialError: Missing, truncated, not a potential, from a newer version, or
            with weights that do not fit its architecture. Nothing in it is executed.
    """
    content = _read(Path(path))
    version = content["format_version"]
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise PotentialError(
            f"{path}: potential of format version {version}, but this ase_physml reads "
            f"up to {FORMAT_VERSION}; upgrade with `pip install -U ase-physml`"
        )
    try:
        card = PotentialCard.from_json(content["metadata"])
        state = content["state"]
        model = build(card.config, state["element_bias"].dtype)
        model.load_state_dict(state)
        finite = all(value.isfinite().all() for value in state.values())
    except Exception as error:
        # A damaged file can hold any value in any place.
        raise PotentialError(
            f"{path}: the weights do not fit the architecture in it ({error}); "
            "the file is damaged, get it again"
        ) from error
    if not finite:
        raise PotentialError(
            f"{path}: has weights that are not finite; the file is damaged or its "
            "training diverged, get it again"
        )
    return model.eval(), card


def build(config: PhysMLConfig, dtype: torch.dtype) -> PhysML:
    """A model to load weights into, on the CPU, whatever torch's global state.

    Draws nothing from torch's random numbers; element data are those of float32, in
    which potentials are trained, even where float64 is torch's default.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        model = PhysML(config).float().to(dtype)
    model.self_energies = model.self_energies.double()
    return model


def _verify_checksums(path: Path) -> None:
    """Torch reads an archive without looking at its checksums."""
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(damaged)


def _read(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise PotentialError(f"{path}: is a directory, not a potential file")
    if not path.exists():
        raise PotentialError(f"{path}: no such file")
    # Anything but a zip archive would go to torch's reader of old pickles.
    if not zipfile.is_zipfile(path):
        raise PotentialError(f"{path}: truncated or not a potential file; get it again")
    try:
        _verify_checksums(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PotentialError(
            f"{path}: not a potential of this package: it holds more than tensors and "
            "text, or is damaged; nothing in it was run"
        ) from error
    except Exception as error:
        # torch raises nearly anything for a damaged archive.
        raise PotentialError(
            f"{path}: damaged or not a potential file; get it again"
        ) from error
    keys = {"format", "format_version", "metadata", "state"}
    if (
        not isinstance(content, dict)
        or content.get("format") != _FORMAT
        or not keys <= content.keys()
    ):
        raise PotentialError(f"{path}: not a potential of this package")
    return content
