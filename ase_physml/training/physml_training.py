"""Model, batches and result file of a recipe of PhysML."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ase_physml.errors import RecipeError
from ase_physml.models.architecture import architecture_of
from ase_physml.models.energy_model import EnergyModel
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import load_potential, save_model
from ase_physml.store.registry import shipped
from ase_physml.store.state import at_most
from ase_physml.training.callbacks import SaveWeights, Say
from ase_physml.training.coverage import nearest, shortest_distances
from ase_physml.training.module import TrainingModule
from ase_physml.training.physml_data import PhysMLData
from ase_physml.training.physml_module import PhysMLTraining
from ase_physml.training.physml_recipe import PhysMLRecipe
from ase_physml.training.recipe import find
from ase_physml.training.reference import (
    elements_of,
    fit_bias,
    fit_self_energies,
    refit_self_energies,
)

if TYPE_CHECKING:
    from ase_physml.training.fit import Run

# Numbers in a fresh model; nothing of this kind is larger.
_LARGEST = 2**30


def prepare(
    recipe: PhysMLRecipe, path: Path, run: "Run"
) -> tuple[PhysMLTraining, PhysMLData, "SavePotential"]:
    """Module, batches and writer of a run; `fit.fit` trains the one on the other.

    Args:
        recipe: Recipe.
        path: File that the recipe came from, for paths in it.
        run: Place and manner of the run.

    Raises:
        RecipeError: The recipe and the data do not fit.
        DataError: A data file cannot be used.
    """
    data = PhysMLData(recipe, path, run.in_memory)
    model = build_model(recipe, data, path, run.say)
    recipe = replace(recipe, model=model.config)
    card = card_of(recipe, data)
    if recipe.start_from is not None:
        # What the start has seen is not forgotten by its card.
        _, start = load_potential(_start(recipe.start_from, path), recipe.start_member)
        card = replace(card, shortest=nearest([start.shortest, card.shortest]))
    save = SavePotential(run.out, card)
    return PhysMLTraining(model, recipe), data, save


def build_model(
    recipe: PhysMLRecipe, data: PhysMLData, path: Path, say: Say = lambda _line: None
) -> EnergyModel:
    """Fresh model with E0 fitted to the data, or one to fine-tune.

    Args:
        recipe: Recipe of the model.
        data: Sets of the recipe.
        path: File that the recipe came from.
        say: Function that is told, in lines for people, what may be wrong with it.

    Raises:
        RecipeError: The potential to start from does not know an element.
    """
    elements = elements_of(data.stores)
    if recipe.start_from is None:
        torch.manual_seed(recipe.seed)
        with at_most(_LARGEST):
            config = replace(recipe.model, elements=elements)
            model: EnergyModel = architecture_of(config).build(config)  # type: ignore[assignment]
        fit_self_energies(model, data.stores)
        fit_bias(model, data.stream)
        return model
    start = _start(recipe.start_from, path)
    model, card = load_potential(start, recipe.start_member)
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


def _start(name: str, path: Path) -> Path:
    return shipped(name) or find(name, path)


def card_of(recipe: PhysMLRecipe, data: PhysMLData) -> ModelCard:
    """Card of a potential trained by a recipe."""
    level = recipe.level_of_theory or data.level_of_theory
    equilibrium = all(s.minima for s in data.stores)
    return ModelCard.for_model(
        recipe.model,
        name=recipe.name,
        level_of_theory=level,
        baseline=data.baseline,
        domain="equilibrium" if equilibrium else "off-equilibrium",
        shortest=shortest_distances(data.stores),
        split_hashes=data.split_hashes,
        training={
            "recipe": recipe.to_dict(),
            "periodic": any(s.periodic for s in data.stores),
        },
    )


class SavePotential(SaveWeights):
    """Writer of PhysML as a potential."""

    def __init__(self, out: Path, card: ModelCard) -> None:
        super().__init__()
        self.out, self.card = out, card

    def save(self, module: TrainingModule, steps: int) -> None:
        """Write ``OUT/NAME.pt``."""
        card = replace(self.card, training={**self.card.training, "steps": steps})
        save_model(self.out / f"{card.name}.pt", module.model, card)
