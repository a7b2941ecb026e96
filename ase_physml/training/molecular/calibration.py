"""Models of properties joined to a committee; its spread against its errors."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from ase_physml.data.frame import Array
from ase_physml.errors import DataError, PotentialError
from ase_physml.models.ensemble import Ensemble, members_of
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import load_molecular, save_model
from ase_physml.training.molecular.data import Molecules
from ase_physml.training.molecular.evaluate import check_fits

_SHARED = ("kind", "architecture", "target_names", "task", "unit", "order")


def join_models(files: Sequence[Path], out: Path) -> None:
    """Join models of the same properties and write one file.

    Args:
        files: Models, or committees, of one architecture, trained apart.
        out: Model to write; its name on the card is that of the file.

    Raises:
        PotentialError: The members do not belong together.
    """
    loaded = [load_molecular(file) for file in files]
    members = [member for model, _ in loaded for member in members_of(model)]
    cards = [card for _, card in loaded]
    for name in _SHARED:
        for file, card in zip(files, cards, strict=True):
            if getattr(card, name) != getattr(cards[0], name):
                raise PotentialError(
                    f"{file}: its {name} is {getattr(card, name)!r}, that of "
                    f"{files[0]} {getattr(cards[0], name)!r}; members share it"
                )
    save_model(out, Ensemble(members), _card(cards, out.stem))


def _card(cards: Sequence[ModelCard], name: str) -> ModelCard:
    # What one member has not seen is a guess of the committee.
    elements = [e for e in cards[0].elements if all(e in c.elements for c in cards)]
    # Errors that were measured are those of the first member alone.
    return replace(cards[0], name=name, elements=elements, errors={}, uncertainty={})


def calibrate(path: Path, data: Path, indices: Array | None = None) -> dict[str, float]:
    """Compare the spread of a committee with its errors, and write it on its card.

    Args:
        path: Committee of a regression; replaced.
        data: Property set.
        indices: Molecules of it that no member was trained on; None for all.

    Returns:
        What the card says then: "scale", by which the spread is to be multiplied to be
        as large as the errors, in the root mean square over molecules and targets, each
        in standard deviations of the target; "rank_correlation" of spread and error;
        "molecules".

    Raises:
        PotentialError: No committee, or of classes, whose probabilities have no error.
        DataError: The set is of other properties, or nothing in it is known.
    """
    model, card = load_molecular(path)
    if not isinstance(model, Ensemble) or card.task != "regression":
        raise PotentialError(f"{path}: only committees of regressions are calibrated")
    molecules = Molecules.load(data, True, model.config.atom_features)
    check_fits(card, molecules)
    chosen = np.arange(len(molecules.store)) if indices is None else indices
    error, spread = _errors(model, molecules, chosen)
    if not len(error) or not spread.any():
        raise DataError(f"{data}: nothing to calibrate on, or members that are equal")
    found = {
        "scale": float(np.sqrt(np.mean(error**2) / np.mean(spread**2))),
        "rank_correlation": float(spearmanr(error, spread).statistic),
        "molecules": float(len(chosen)),
    }
    save_model(path, model, replace(card, uncertainty=found))
    return found


@torch.no_grad()
def _errors(
    model: Ensemble, molecules: Molecules, indices: Array
) -> tuple[Array, Array]:
    """Absolute errors and spread of all known values, in standard deviations."""
    head = model.head
    assert head is not None
    parts: list[Tensor] = []
    for batch in molecules.batches(indices):
        said = model.predict(batch.graph)
        assert batch.targets is not None
        assert said.property is not None
        assert said.spread is not None
        both = torch.stack([(said.property - batch.targets).abs(), said.spread])
        parts.append((both / head.deviation)[:, ~batch.targets.isnan()])
    error, spread = torch.cat(parts, dim=1).double().numpy()
    return error, spread
