"""Any recipe: which model it trains, and the training of it."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from ase_physml.errors import RecipeError
from ase_physml.jobs.locking import FolderLock
from ase_physml.training import recipe as physml
from ase_physml.training import run as physml_run
from ase_physml.training.loop import Run
from ase_physml.training.molecular import recipe as molecular
from ase_physml.training.molecular import run as molecular_run
from ase_physml.training.yaml_recipe import read
from ase_physml.typed import brief


def load(
    path: Path, overrides: Sequence[str] = ()
) -> physml.Recipe | molecular.MolecularRecipe:
    """Read a recipe; its ``kind`` is "physml" unless it says otherwise.

    Raises:
        RecipeError: As of `physml.load_recipe`, or a kind that does not exist.
    """
    values = read(path, overrides)
    kind = values.get("kind", "physml")
    if isinstance(kind, str) and kind in molecular.KINDS:
        return molecular.of_values(values, path)
    if kind != "physml":
        kinds = ", ".join(["physml", *molecular.KINDS])
        raise RecipeError(f"{path}: no kind {brief(kind)} of model; there are {kinds}")
    values.pop("kind", None)
    return physml.of_values(values, path)


def fit(
    recipe: physml.Recipe | molecular.MolecularRecipe, path: Path, run: Run
) -> Path:
    """Train by a recipe, and return the path of the result.

    Raises:
        RecipeError: As of the ``fit`` of the model's kind.
        DataError: A data file cannot be used, the folder cannot be written, or another
            process is training there.
        TrainingStopped: A signal ended it; a checkpoint is written.
    """
    # Of several processes of one run, the first holds the folder for all.
    first = getattr(rank_zero_only, "rank", 0) == 0
    with FolderLock(run.out) if first else nullcontext():
        if isinstance(recipe, physml.Recipe):
            return physml_run.fit(recipe, path, run)
        return molecular_run.fit(recipe, path, run)
