"""Weights ready to compute with: on a device, in a precision, shared and frozen."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch

from ase_physml.errors import PotentialError
from ase_physml.jobs.file_hash import sha256
from ase_physml.models.architecture import architecture_of
from ase_physml.models.energy_model import EnergyModel
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import build_empty, load_potentials
from ase_physml.torch_state import plain_torch


def pick_device(device: str, dtype: str) -> torch.device:
    """The device that is named, or for "auto" the fastest that computes in float64.

    Raises:
        PotentialError: There is no such device, or it cannot do dtype.
    """
    if dtype not in ("float32", "float64"):
        raise PotentialError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise PotentialError(f"device {device!r} is not one torch knows") from error
    if chosen.type == "mps" and dtype == "float64":
        raise PotentialError("Apple GPUs have no float64: use dtype='float32'")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise PotentialError(f"device {device!r} asked for, but torch sees no CUDA GPU")
    return chosen


def load_all(
    paths: Sequence[Path], device: torch.device, dtype: str
) -> tuple[tuple[EnergyModel, ...], ModelCard]:
    """Members in all files, and the card of the first."""
    members: tuple[EnergyModel, ...] = ()
    cards: list[ModelCard] = []
    for path in paths:
        modified = path.stat().st_mtime_ns if path.exists() else 0
        found, card = _load(str(path), modified, str(device), dtype)
        members += found
        cards.append(card)
    for path, card in zip(paths, cards, strict=True):
        if card.baseline != cards[0].baseline:
            raise PotentialError(
                f"{paths[0]} corrects {cards[0].baseline or 'nothing'} and {path} "
                f"{card.baseline or 'nothing'}: their energies have no common mean"
            )
        if card.level_of_theory != cards[0].level_of_theory:
            raise PotentialError(
                f"{paths[0]} is of {cards[0].level_of_theory} and {path} of "
                f"{card.level_of_theory}: their energies have no common mean"
            )
    check_alike(members)
    # The scale of one file's own members does not hold for more of them.
    card = cards[0] if len(cards) == 1 else replace(cards[0], uncertainty={})
    return members, card


def check_unchanged(paths: Sequence[Path], hashes: Sequence[str]) -> None:
    """Refuse files that are not those from which a calculator was made."""
    for path, expected in zip(paths, hashes, strict=True):
        if not path.exists():
            raise PotentialError(
                f"{path}: the calculator was made from it; put it back"
            )
        if sha256(path) != expected:
            raise PotentialError(
                f"{path}: not the file that the calculator was made from, whose "
                f"SHA-256 is {expected[:12]}...; put it back, or make a new calculator"
            )


def check_alike(members: Sequence[EnergyModel]) -> None:
    """Refuse members that do not see one list of neighbours."""
    if not members:
        raise PotentialError("a committee needs a member")
    seen = {(c.elements, c.cutoff, c.pair_cutoff) for c in (m.config for m in members)}
    if len(seen) > 1:
        raise PotentialError("members of a committee share elements and cutoffs")


@lru_cache(maxsize=8)
def _load(
    path: str, _modified: int, device: str, dtype: str
) -> tuple[tuple[EnergyModel, ...], ModelCard]:
    """Calculators of the same file share its weights; a changed file is read again."""
    members, card = load_potentials(path)
    return tuple(prepared(m, torch.device(device), dtype) for m in members), card


@plain_torch()
def prepared(model: EnergyModel, device: torch.device, dtype: str) -> EnergyModel:
    """Moved, converted and frozen; reference energies stay in float64."""
    reference = model.self_energies.double()
    model = model.to(device=device, dtype=getattr(torch, dtype))
    model.self_energies = reference.to(device)
    return model.eval().requires_grad_(False)


@plain_torch()
def copy_of(model: EnergyModel) -> EnergyModel:
    """A copy, so that weights that someone else uses are not frozen or converted."""
    dtype = next((p.dtype for p in model.parameters()), torch.float64)
    copy = build_empty(architecture_of(model.config).name, model.config, dtype)
    assert isinstance(copy, EnergyModel)
    copy.load_state_dict(model.state_dict())
    return copy
