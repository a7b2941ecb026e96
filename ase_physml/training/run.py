"""From a recipe to a potential: the Lightning loop around `PhysMLTraining`."""

from dataclasses import replace
from pathlib import Path

import torch

from ase_physml.errors import RecipeError
from ase_physml.models.physml.model import PhysML
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import load_potential
from ase_physml.store.registry import shipped
from ase_physml.store.state import at_most
from ase_physml.training.callbacks import SavePotential
from ase_physml.training.loop import Run, as_trained, train
from ase_physml.training.module import PhysMLTraining
from ase_physml.training.recipe import Recipe
from ase_physml.training.reference import (
    elements_of,
    fit_bias,
    fit_self_energies,
    refit_self_energies,
)
from ase_physml.training.report import Say
from ase_physml.training.sources import Data
from ase_physml.training.yaml_recipe import find

# Numbers in a fresh model; nothing of this kind is larger.
_LARGEST = 2**30


def build_model(
    recipe: Recipe, data: Data, path: Path, say: Say = lambda _line: None
) -> PhysML:
    """A fresh model with E0 fitted to the data, or one to fine-tune.

    Args:
        recipe: Says which.
        data: Of the recipe.
        path: Where the recipe came from.
        say: Told, in lines for people, what may be wrong with it.

    Raises:
        RecipeError: The potential to start from does not know an element.
    """
    elements = elements_of(data.stores)
    if recipe.start_from is None:
        torch.manual_seed(recipe.seed)
        with at_most(_LARGEST):
            model = PhysML(replace(recipe.model, elements=elements))
        fit_self_energies(model, data.stores)
        fit_bias(model, data.stream)
        return model
    start = shipped(recipe.start_from) or find(recipe.start_from, path)
    loaded, card = load_potential(start, recipe.start_member)
    if not isinstance(loaded, PhysML):
        raise RecipeError(f"{start}: a {card.kind} model, where PhysML is trained")
    model = loaded
    if card.baseline != data.baseline:
        raise RecipeError(
            f"{recipe.start_from} corrects {card.baseline or 'nothing'}; labels are "
            f"what {data.baseline or 'nothing'} leaves over; take the potential's "
            "baseline off the sets with `physml data label --less`"
        )
    unknown = set(elements) - set(model.config.elements)
    if unknown:
        raise RecipeError(
            f"{recipe.start_from} does not know the elements {sorted(unknown)} of the "
            "training data"
        )
    if recipe.refit_self_energies:
        if remark := refit_self_energies(model, data.stores):
            say(remark)
    elif card.level_of_theory != (level := data.level_of_theory) and level:
        say(
            f"{recipe.start_from} is of {card.level_of_theory}, the data of {level}: "
            "where these differ, add refit_self_energies=true"
        )
    return model.float().requires_grad_(True).train()


def fit(recipe: Recipe, path: Path, run: Run) -> Path:
    """Train, and return the path of the potential.

    Args:
        recipe: What to train.
        path: Where the recipe came from, for paths in it.
        run: Where and how.

    Raises:
        RecipeError: The recipe and the data do not fit, or the checkpoint is unusable.
        DataError: A data file cannot be used.
    """
    compares = any(stage.losses.difference for stage in recipe.stages)
    if compares and run.devices * run.nodes > 1:
        raise RecipeError(
            "the loss of differences compares frames of one process; train with "
            "--devices 1 and --num-nodes 1"
        )
    identity = run.identity(recipe, path)
    if identity is None:
        return run.result(recipe)
    with as_trained(recipe.seed):
        data = Data(recipe, path, run.in_memory)
        model = build_model(recipe, data, path, run.say)
        recipe = replace(recipe, model=model.config)
        save = SavePotential(run.out, card_of(recipe, data))
        train(recipe, run, PhysMLTraining(model, recipe), data, save, identity)
    return run.result(recipe)


def card_of(recipe: Recipe, data: Data) -> ModelCard:
    """What a potential trained by this recipe says of itself."""
    level = recipe.level_of_theory or data.level_of_theory
    equilibrium = all(s.minima for s in data.stores)
    return ModelCard.for_model(
        recipe.model,
        name=recipe.name,
        level_of_theory=level,
        baseline=data.baseline,
        domain="equilibrium" if equilibrium else "off-equilibrium",
        split_hashes=data.split_hashes,
        training={
            "recipe": recipe.to_dict(),
            "periodic": any(s.periodic for s in data.stores),
        },
    )
