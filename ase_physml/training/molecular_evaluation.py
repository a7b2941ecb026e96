"""Errors of models of molecules, their speed, and the spread of a committee."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph
from ase_physml.data.frame import Array
from ase_physml.errors import DataError, PotentialError
from ase_physml.models.bonded_model import BondedModel, MolecularPrediction
from ase_physml.models.ensemble import Ensemble, members_of
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import load_molecular, save_model
from ase_physml.training.losses import conformation
from ase_physml.training.losses import targets as properties
from ase_physml.training.molecular_data import Molecules

Report = dict[str, Any]

# Batches of the published codes, over which their tables average.
_PHYSCHEM_BATCH = 20
_HAMNET_BATCH = 3
_TIMED = 4096
_REPEATS = 3
# What members of a committee have in common.
_SHARED = ("kind", "architecture", "target_names", "task", "unit", "order")


def check_fits(card: ModelCard, molecules: Molecules) -> None:
    """Raise `DataError` if these are not molecules as the model reads them."""
    order = molecules.store.facts.get("order", "smiles")
    if order != card.order:
        raise DataError(
            f"{card.name} reads atoms in the order {card.order!r}, the molecules have "
            f"{order!r}; make the store with --order {card.order}"
        )
    known = molecules.properties
    if known is not None and list(known.target_names) != card.target_names:
        raise DataError(
            f"{card.name} predicts {', '.join(card.target_names)}, but the data have "
            f"{', '.join(known.target_names)}"
        )


@torch.no_grad()
def evaluate(model: BondedModel, molecules: Molecules, indices: Array) -> Report:
    """Errors of conformations and properties, as far as the model predicts them.

    Args:
        model: In evaluation mode.
        molecules: With conformations, targets, or both, to compare with.
        indices: Numbers of those to be looked at.

    Returns:
        "conformations" (lengths in Å) and "properties" (in the units of the targets).
        What is named legacy is computed as the published codes do, for comparison with
        their tables alone.
    """
    errors: dict[str, list[Tensor]] = defaultdict(list)
    answers, targets = [], []
    for batch in molecules.batches(indices):
        said = model.predict(batch.graph)
        if said.trajectory is not None and batch.graph.positions is not None:
            for name, values in _conformation_errors(batch.graph, said).items():
                errors[name].append(values)
        if said.property is not None and batch.targets is not None:
            answers.append(said.property)
            targets.append(batch.targets)
    report: Report = {"molecules": len(indices)}
    if errors:
        joined = {name: torch.cat(parts) for name, parts in errors.items()}
        report["conformations"] = _of_conformations(joined)
    if answers and molecules.properties is not None:
        report["properties"] = _of_properties(
            model, molecules, torch.cat(answers), torch.cat(targets)
        )
    return report


@torch.no_grad()
def molecules_per_second(
    model: BondedModel, molecules: Molecules, indices: Array
) -> float:
    """Inference on one thread of the CPU, from the store on, in batches of 256.

    The time is that of the processor, so that other processes do not count.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    chosen = indices[:_TIMED]
    times = []
    try:
        for _ in range(_REPEATS):
            start = time.thread_time()
            for batch in molecules.batches(chosen):
                model.predict(batch.graph)
            times.append(time.thread_time() - start)
    finally:
        torch.set_num_threads(threads)
    return len(chosen) / min(times)


def _conformation_errors(
    graph: BondedGraph, said: MolecularPrediction
) -> dict[str, Tensor]:
    """Errors of conformations of each molecule, (M,)."""
    assert said.trajectory is not None
    errors = conformation.conformation_errors(graph, said.trajectory[-1])
    if said.distances is not None:
        squared = conformation.distance_mse_of_distances(graph, said.distances)
        errors["predicted_distance_rms"] = squared.sqrt()
    return {**errors, "n_atoms": graph.n_atoms}


def _of_conformations(errors: dict[str, Tensor]) -> Report:
    known = ~errors["distance_rms"].isnan()
    errors = {name: values[known] for name, values in errors.items()}
    report: Report = {"molecules": int(known.sum())}
    if not known.any():
        return report
    lengths = ("distance_rms", "predicted_distance_rms", "kabsch_rmsd",
               "kabsch_rmsd_or_mirror", "kabsch_rmsd_by_mass")  # fmt: skip
    for name in lengths:
        if name in errors:
            report[f"{name}_mean_A"] = float(errors[name].mean())
            report[f"{name}_median_A"] = float(errors[name].median())
    report["squared_distances_mean_A2"] = float(errors["squared_distances"].mean())
    n, mse = errors["n_atoms"], errors["distance_mse"]
    # Over all pairs of different atoms, large molecules counting most.
    pooled = (mse * n.square()).sum() / (n * (n - 1)).sum().clamp(min=1)
    report["distance_rms_pooled_A"] = float(pooled.sqrt())
    batches = [part.mean().sqrt() for part in mse.split(_PHYSCHEM_BATCH)]
    report["legacy_physchem_distance_mse_A"] = float(torch.stack(batches).mean())
    legacy = errors["legacy_hamnet_distance"]
    report["legacy_hamnet_distance"] = float(legacy.mean())
    return report


def _of_properties(
    model: BondedModel, molecules: Molecules, answers: Tensor, targets: Tensor
) -> Report:
    known = molecules.properties
    assert known is not None
    # A model that reads conformations has no answer where there is none.
    answered = ~answers.flatten(1).isnan().any(1)
    answers, targets = answers[answered], targets[answered]
    report: Report = {"molecules": int(answered.sum()), "unit": known.unit}
    if known.task == "regression":
        return report | _regression(model, known.target_names, answers, targets)
    table = properties.roc_auc_table(answers, targets).tolist()
    return report | {
        "roc_auc": properties.mean_roc_auc(answers, targets),
        "legacy_physchem_roc_auc": properties.legacy_roc_auc(answers, targets),
        "roc_auc_of_classes": dict(zip(known.target_names, table, strict=True)),
    }


def _regression(
    model: BondedModel, names: tuple[str, ...], answers: Tensor, targets: Tensor
) -> Report:
    head = model.head
    assert head is not None
    mean, deviation = head.mean, head.deviation
    rmse, mae = properties.rmse(answers, targets), properties.mae(answers, targets)
    standard = (answers - mean) / deviation, (targets - mean) / deviation
    legacy = properties.legacy_mae_as_rmse(*standard, deviation)
    report: Report = {
        "rmse": float(rmse.mean()),
        "mae": float(mae.mean()),
        "legacy_physchem_rmse": float(legacy.mean()),
    }
    if len(names) > 1:
        report["rmse_of_targets"] = dict(zip(names, rmse.tolist(), strict=True))
        report["mae_of_targets"] = dict(zip(names, mae.tolist(), strict=True))
        # Sum over the targets, as printed for QM8; its code has the mean over columns.
        report["multi_mae"] = float(mae.sum())
        report["multi_mae_in_deviations"] = float((mae / deviation).sum())
        report["rmse_in_deviations"] = float((rmse / deviation).mean())
        return report
    batches = properties.legacy_batch_rmse(answers, targets, _HAMNET_BATCH)
    return report | {"legacy_hamnet_rmse": batches}


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
    save_model(out, Ensemble(members), _joint_card(cards, out.stem))


def _joint_card(cards: Sequence[ModelCard], name: str) -> ModelCard:
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
    error, spread = _errors_and_spread(model, molecules, chosen)
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
def _errors_and_spread(
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
