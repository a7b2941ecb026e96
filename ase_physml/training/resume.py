"""Checkpoints of runs: the run that one is of, and how far it had come.

A run is told by its recipe, with the content of every file in it in place of the
file's name. More steps, and another number of processes, leave it the same run.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from ase_physml.errors import PotentialError, RecipeError
from ase_physml.jobs.file_hash import content_hash
from ase_physml.jobs.identity import ABSENT, Difference, canonical, differences
from ase_physml.store.checkpoint import read_archive
from ase_physml.store.registry import shipped
from ase_physml.store.state import plain_tensors
from ase_physml.training.recipe import Recipe, find
from ase_physml.typed import build

RecipeIdentity = dict[str, Any]
"""Keys of a recipe, flat, to plain values; files are their hashes."""

_WHAT = "a checkpoint of `physml train`"
_ENTRY = "ase_physml"
_FILES = {"path", "split", "data", "start_from"}
_AFRESH = "start afresh with another --out"


@dataclass(frozen=True)
class Standing:
    """State of a run at a checkpoint.

    Attributes:
        steps: Number of optimizer steps done.
        total: Number of those that were asked for.
        finished: Flag that nothing is left to do: all steps are done, or patience has
            ended it.
        identity: Identity of the run as of `recipe_identity`, in JSON.
    """

    steps: int
    total: int
    finished: bool
    identity: str


def recipe_identity(recipe: Recipe, path: Path) -> RecipeIdentity:
    """Identity of a run.

    Args:
        recipe: Recipe of the run.
        path: File of the recipe, for paths in it.

    Raises:
        RecipeError: A file is missing.
    """
    values = dict(_flat(recipe.to_dict(), ""))
    for key, value in values.items():
        if key.rpartition(".")[2] in _FILES and isinstance(value, str):
            values[key] = content_hash(shipped(value) or find(value, path))
    return values


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    parts: Mapping[Any, Any] = {}
    if isinstance(value, list):
        parts = dict(enumerate(value))
    elif isinstance(value, dict):
        parts = value
    if not parts:
        yield key, value
    for inner, part in parts.items():
        yield from _flat(part, f"{key}.{inner}" if key else str(inner))


class Remember(Callback):
    """Callback that writes into checkpoints which run they are of.

    Args:
        identity: Identity of the run.
        total_steps: Number of optimizer steps that are asked for.
    """

    def __init__(self, identity: RecipeIdentity, total_steps: int) -> None:
        self.identity, self.total_steps = identity, total_steps

    def on_save_checkpoint(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Add an entry of our own."""
        stopping = trainer.early_stopping_callbacks
        ended = any(one.stopped_epoch > 0 for one in stopping)
        checkpoint[_ENTRY] = {
            "steps": trainer.global_step,
            "total": self.total_steps,
            "finished": ended or trainer.global_step >= self.total_steps,
            "identity": json.dumps(self.identity),
        }


def standing_of(checkpoint: Path) -> Standing:
    """State of the run of a checkpoint, nothing of which is executed.

    Raises:
        RecipeError: Missing, damaged, or not one of `physml train`.
    """
    if not checkpoint.is_file():
        raise RecipeError(f"{checkpoint}: no such checkpoint to resume from")
    try:
        return _standing(read_archive(checkpoint, _WHAT), checkpoint)
    except PotentialError as error:
        raise RecipeError(f"{error}; {_AFRESH}") from error


def _standing(content: Any, checkpoint: Path) -> Standing:
    if not isinstance(content, dict) or _ENTRY not in content:
        raise PotentialError(f"{checkpoint}: not {_WHAT}")
    for key in ("state_dict", "current_model_state"):
        state = plain_tensors(content.get(key))
        if not all(value.isfinite().all() for value in state.values()):
            raise PotentialError(f"{checkpoint}: has weights that are not finite")
    return build(Standing, content[_ENTRY], str(checkpoint), PotentialError)


def check(checkpoint: Path, identity: RecipeIdentity, recipe: Recipe) -> Standing:
    """State of the run of a checkpoint, which this run may go on from.

    Raises:
        RecipeError: As of `standing_of`; or it is of another recipe or other data, and
            which keys of the recipe differ.
    """
    standing = standing_of(checkpoint)
    try:
        stored = json.loads(standing.identity)
        found = _differences(stored, identity, recipe, standing.steps)
    except (ValueError, RecursionError, AttributeError, TypeError) as error:
        raise RecipeError(f"{checkpoint}: damaged ({error}); {_AFRESH}") from error
    if found:
        raise RecipeError(
            f"{checkpoint}: is of another run: {'; '.join(map(str, found))}. Go on "
            f"with what it was, or {_AFRESH}"
        )
    if standing.steps > recipe.total_steps:
        raise RecipeError(
            f"{checkpoint}: has {standing.steps} steps already, more than the "
            f"{recipe.total_steps} of the recipe; ask for more, or {_AFRESH}"
        )
    return standing


def _differences(
    stored: RecipeIdentity, now: RecipeIdentity, recipe: Recipe, done: int
) -> list[Difference]:
    """Keys that are not what they were, but for those that may differ."""
    last = max(
        (int(k.split(".")[1]) for k in stored if k.startswith("stages.")), default=0
    )
    return [
        one
        for one in sorted(differences(canonical(stored), canonical(now)))
        if not _is_of_a_later_version(one, recipe)
        and not _may_differ(one.key, last, now, done)
    ]


def _is_of_a_later_version(one: Difference, recipe: Recipe) -> bool:
    """True of a key that an earlier version did not know and that asks for nothing."""
    if one.before != ABSENT:
        return False
    return not one.now or one.now == canonical(recipe.default_of(one.key))


def _may_differ(key: str, last: int, now: RecipeIdentity, done: int) -> bool:
    """True of steps: more of the last stage, or new stages, are no other run."""
    parts = key.split(".")
    if parts[0] != "stages":
        return key == "steps"
    if int(parts[1]) > last:
        return True
    steps = [now.get(f"stages.{k}.steps") for k in range(last + 1)]
    known = [s for s in steps if isinstance(s, int)]
    return key == f"stages.{last}.steps" and len(known) > last and sum(known) >= done
