"""Model, batches and result file of a recipe of PhysChem or HamNet."""

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ase_physml.errors import RecipeError
from ase_physml.models.architecture import build_model
from ase_physml.models.bonded_model import BondedModel
from ase_physml.models.ensemble import members_of
from ase_physml.models.hamnet.config import ENGINE_FIELDS
from ase_physml.models.hamnet.model import engine_of
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import load_molecular, save_model
from ase_physml.store.registry import shipped
from ase_physml.training.callbacks import SaveWeights
from ase_physml.training.losses.targets import moments
from ase_physml.training.module import Metrics, TrainingModule
from ase_physml.training.molecular_data import MolecularData
from ase_physml.training.molecular_module import MolecularTraining
from ase_physml.training.molecular_recipe import MolecularRecipe
from ase_physml.training.recipe import find

if TYPE_CHECKING:
    from ase_physml.training.fit import Run


def prepare(
    recipe: MolecularRecipe, path: Path, run: "Run"
) -> tuple[MolecularTraining, MolecularData, "SaveMolecular"]:
    """Module, batches and writer of a run; `fit.fit` trains the one on the other.

    Args:
        recipe: Recipe.
        path: File that the recipe came from, for paths in it.
        run: Place and manner of the run.

    Raises:
        RecipeError: The recipe and the data do not fit.
        DataError: A data file cannot be used.
    """
    data = MolecularData(recipe, path)
    card = card_of(recipe, data)
    model = model_of(recipe, card, data, path)
    known = data.properties
    known = None if known is None else known.select(data.train)
    save = SaveMolecular(run.out, card, recipe.keep_best)
    return MolecularTraining(model, recipe, known), data, save


def model_of(
    recipe: MolecularRecipe, card: ModelCard, data: MolecularData, path: Path
) -> BondedModel:
    """Fresh model, or one with the weights to start from.

    Raises:
        RecipeError: The weights to start from are of another model.
    """
    torch.manual_seed(recipe.seed)
    model: BondedModel = build_model(card.kind, card.architecture)
    if data.properties is not None and card.task == "regression":
        targets = torch.from_numpy(data.properties.targets[data.train])
        head = model.head
        assert head is not None
        head.mean, head.deviation = (found.float() for found in moments(targets))
    if recipe.start_from is not None:
        start = shipped(recipe.start_from) or find(recipe.start_from, path)
        _start(model, card, start)
    return model


def _start(model: BondedModel, card: ModelCard, source: Path) -> None:
    """Load the weights of a file (of its first member).

    All of them, all but the head where that is for other properties, or the engine's.
    """
    loaded, known = load_molecular(source)
    start = members_of(loaded)[0]
    for what in ("kind", "order"):
        if getattr(known, what) != getattr(card, what):
            raise RecipeError(
                f"{source}: cannot start from it: its {what} is "
                f"{getattr(known, what)!r}, here it is {getattr(card, what)!r}"
            )
    part, given = engine_of(model), engine_of(start)
    if part is not None and given is not None:
        _check_equal(model, start, ENGINE_FIELDS, source)
        part.load_state_dict(given.state_dict())
        return
    weights = start.state_dict()
    free = {"dropout"}
    same = (known.target_names, known.task) == (card.target_names, card.task)
    if known.target_names and card.target_names and not same:
        # Other properties are read off the same fingerprint by a head of their own.
        free |= {"targets", "head", "classes"}
        own = model.state_dict()
        weights |= {name: own[name] for name in own if name.startswith("head.")}
    _check_equal(model, start, set(card.architecture) - free, source)
    model.load_state_dict(weights)


def _check_equal(
    model: BondedModel, start: BondedModel, fields: Iterable[str], source: Path
) -> None:
    for name in sorted(fields):
        here, there = getattr(model.config, name), getattr(start.config, name)
        if here != there:
            raise RecipeError(
                f"{source}: cannot start from it: it has {name}={there!r}, but the "
                f"recipe has model.{name}={here!r}"
            )


def card_of(recipe: MolecularRecipe, data: MolecularData) -> ModelCard:
    """Card of a model trained by a recipe."""
    architecture = recipe.model.to_dict()
    known = data.properties
    about: dict[str, Any] = {}
    if known is not None:
        architecture |= {
            "targets": known.targets.shape[1],
            "head": known.task,
            "classes": known.classes,
        }
        about = {
            "target_names": list(known.target_names),
            "task": known.task,
            "unit": known.unit,
        }
    return ModelCard(
        name=recipe.name,
        kind=recipe.kind,
        architecture=architecture,
        elements=data.elements,
        order=data.molecules.store.facts.get("order", "smiles"),
        split_hashes=data.split_hashes,
        training={"recipe": recipe.to_dict()},
        **about,
    )


class SaveMolecular(SaveWeights):
    """Writer of a PhysChem or HamNet model, the last or the best."""

    def __init__(self, out: Path, card: ModelCard, keep_best: bool) -> None:
        super().__init__()
        self.path, self.card = out / f"{card.name}.pt", card
        self.keep_best = keep_best

    def is_wanted(self, errors: Metrics) -> bool:
        """Unless an earlier one was better and is wanted."""
        # What cannot be scored is the worst of all, but better than no file.
        best = self.written.get("score", math.inf)
        best = math.inf if math.isnan(best) else best
        better = errors.get("score", math.nan) < best
        return better or not self.keep_best or not self.path.exists()

    def save(self, module: TrainingModule, steps: int) -> None:
        """Write ``OUT/NAME.pt``."""
        card = replace(self.card, training={**self.card.training, "steps": steps})
        save_model(self.path, module.model, card)
