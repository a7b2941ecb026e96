"""Weights ready to compute with: on a device, in a precision, shared and frozen."""

from functools import lru_cache

import torch

from ase_physml.errors import PotentialError
from ase_physml.models.physml.model import PhysML
from ase_physml.potentials.card import PotentialCard
from ase_physml.potentials.checkpoint import build, load_potential


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


@lru_cache(maxsize=8)
def load(
    path: str, _modified: int, device: str, dtype: str
) -> tuple[PhysML, PotentialCard]:
    """Calculators of the same file share its weights; a changed file is read again."""
    model, card = load_potential(path)
    return prepared(model, torch.device(device), dtype), card


def prepared(model: PhysML, device: torch.device, dtype: str) -> PhysML:
    """Moved, converted and frozen; reference energies stay in float64."""
    reference = model.self_energies.double()
    model = model.to(device=device, dtype=getattr(torch, dtype))
    model.self_energies = reference.to(device)
    return model.eval().requires_grad_(False)


def copy_of(model: PhysML) -> PhysML:
    """The calculator must not freeze or convert weights that someone else is using."""
    copy = build(model.config, model.element_bias.dtype)
    copy.load_state_dict(model.state_dict())
    return copy
