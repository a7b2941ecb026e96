"""What a checkpoint belongs to, and whether a run may go on from it.

A run is told by its recipe, with the content of every file in it in place of the
file's name. More steps, and another number of processes, leave it the same run.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping

from ase_physml.errors import PotentialError, RecipeError
from ase_physml.store.checkpoint import read_archive
from ase_physml.store.registry import shipped
from ase_physml.store.state import plain_tensors
from ase_physml.training.molecular.recipe import MolecularRecipe
from ase_physml.training.recipe import Recipe
from ase_physml.training.yaml_recipe import find
from ase_physml.typed import brief, build

AnyRecipe = Recipe | MolecularRecipe
Identity = dict[str, Any]

_WHAT = "a checkpoint of `physml train`"
_ENTRY = "ase_physml"
_FILES = {"path", "split", "data", "start_from"}
_AFRESH = "start afresh with another --out"
# Of larger files, pieces of this size all along are looked at.
_WHOLE, _PIECES, _PIECE = 2**31, 512, 2**20


@dataclass(frozen=True)
class Standing:
    """What a checkpoint says of its run.

    Attributes:
        steps: Optimizer steps done.
        total: Of those that were asked for.
        finished: Nothing is left to do: all steps are done, or patience has ended it.
        identity: As of `identity_of`, in JSON.
    """

    steps: int
    total: int
    finished: bool
    identity: str


def identity_of(recipe: AnyRecipe, path: Path) -> Identity:
    """What tells one run from another: keys of the recipe, flat, to plain values.

    Args:
        recipe: As it was read.
        path: Where it came from, for paths in it.

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


def content_hash(path: Path) -> str:
    """SHA-256 of a file; above 2 GiB, of its size and of 512 pieces of it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE:
            return f"sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}"
        digest = hashlib.sha256(str(size).encode())
        for k in range(_PIECES):
            file.seek((size - _PIECE) * k // (_PIECES - 1))
            digest.update(file.read(_PIECE))
    return f"sha256 of pieces {digest.hexdigest()}"


class Remember(Callback):
    """Write into checkpoints which run they are of."""

    def __init__(self, identity: Identity, total_steps: int) -> None:
        self.identity, self.total_steps = identity, total_steps

    def on_save_checkpoint(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Add an entry of our own."""
        ended = any(
            isinstance(one, EarlyStopping) and one.stopped_epoch > 0
            for one in trainer.callbacks  # type: ignore[attr-defined]
        )
        checkpoint[_ENTRY] = {
            "steps": trainer.global_step,
            "total": self.total_steps,
            "finished": ended or trainer.global_step >= self.total_steps,
            "identity": json.dumps(self.identity),
        }


def standing_of(checkpoint: Path) -> Standing:
    """Read a checkpoint, nothing of which is executed.

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


def check(checkpoint: Path, identity: Identity, recipe: AnyRecipe) -> Standing:
    """Whether this run may go on from a checkpoint, and how far that one is.

    Raises:
        RecipeError: As of `standing_of`; or it is of another recipe or other data, and
            which keys of the recipe differ.
    """
    standing = standing_of(checkpoint)
    try:
        stored = json.loads(standing.identity)
        differences = list(_differences(stored, identity, standing.steps))
    except (ValueError, RecursionError, AttributeError) as error:
        raise RecipeError(f"{checkpoint}: damaged ({error}); {_AFRESH}") from error
    if differences:
        raise RecipeError(
            f"{checkpoint}: is of another run: {'; '.join(differences)}. Go on with "
            f"what it was, or {_AFRESH}"
        )
    if standing.steps > recipe.total_steps:
        raise RecipeError(
            f"{checkpoint}: has {standing.steps} steps already, more than the "
            f"{recipe.total_steps} of the recipe; ask for more, or {_AFRESH}"
        )
    return standing


def _differences(stored: Identity, now: Identity, done: int) -> Iterator[str]:
    """A phrase for each key that is not what it was."""
    last = max(
        (int(k.split(".")[1]) for k in stored if k.startswith("stages.")), default=0
    )
    for key in sorted({*stored, *now}):
        before, here = stored.get(key), now.get(key)
        if before == here or _may_differ(key, last, now, done):
            continue
        if key not in stored and not here:
            # Of a version that did not know it, and it asks for nothing.
            continue
        if key.rpartition(".")[2] in _FILES and before is not None and here is not None:
            yield f"{key} has another content"
        else:
            yield f"{key} was {brief(before)}, is {brief(here)}"


def _may_differ(key: str, last: int, now: Identity, done: int) -> bool:
    """More steps are no other run: of the last stage, or of new ones after it."""
    parts = key.split(".")
    if parts[0] != "stages":
        return key == "steps"
    if int(parts[1]) > last:
        return True
    steps = [now.get(f"stages.{k}.steps") for k in range(last + 1)]
    known = [s for s in steps if isinstance(s, int)]
    return key == f"stages.{last}.steps" and len(known) > last and sum(known) >= done
