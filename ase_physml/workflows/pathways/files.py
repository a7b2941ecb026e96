"""Files of a pathway: what each step left, and whether it can be used again."""

import json
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms

from ase_physml.jobs.disk import write_json, writing
from ase_physml.jobs.identity import Identity
from ase_physml.workflows.conformers.runs import write_conformers
from ase_physml.workflows.image_files import write_images
from ase_physml.workflows.paths.reaction_path import ReactionPath
from ase_physml.workflows.pathways.ends import Ends

STEPS = ("conformers", "ends", "path")
"""Steps in order: structures of both sides, the closest pair of them, the path."""

_FILES = {
    "conformers": ("reactant.xyz", "product.xyz"),
    "ends": ("ends.traj",),
    "path": ("path.traj",),
}


class StepFiles:
    """Files that the steps of one reaction left, and ``steps.json`` about them.

    The files are ``reactant.xyz`` and ``product.xyz``, ``ends.traj``, ``path.traj``.
    A step counts as done if its files are there, were made with the same settings, and
    the files of the step before are what they were then: whoever edits or replaces one
    has the later steps done anew. What is done anew for other settings is warned of.

    Args:
        folder: Folder of the files, made if missing.
        settings: Identity of each step, by its name.
        resume: Whether to keep what is done; else everything is done anew.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Identity], resume: bool
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._state = folder / "path.traj", folder / "path.state.traj"
        self._settings = settings
        self._record = folder / "steps.json"
        self._done: dict[str, Any] = {}
        if resume and self._record.exists():
            self._done = _read(self._record)
            self._warn()
        else:
            self._record.unlink(missing_ok=True)

    @property
    def latest(self) -> Path:
        """Images of the path, or where an unfinished search keeps them."""
        return self._path if self.has("path") else self._state

    def has(self, step: str) -> bool:
        """Whether a step is done."""
        return self._are_there(step) and self._done.get(step) == self._about(step)

    def read_ends(self) -> Ends:
        """Structures that `write_ends` wrote."""
        return Ends(*map(self._frames, _FILES["conformers"]))

    def write_ends(self, ends: Ends) -> None:
        """Write structures of both sides."""
        sides = (ends.reactants, ends.products)
        for name, structures in zip(_FILES["conformers"], sides, strict=True):
            with writing(self.folder / name, "go on with --resume"):
                write_conformers(self.folder / name, structures)
        self._finish("conformers")

    def read_pair(self) -> tuple[Atoms, Atoms]:
        """Pair that `write_pair` wrote."""
        reactant, product = self._frames("ends.traj")
        return reactant, product

    def write_pair(self, pair: tuple[Atoms, Atoms]) -> None:
        """Write the closest reactant and product."""
        write_images(pair, self.folder / "ends.traj")
        self._finish("ends")

    def start_path(self) -> None:
        """Begin a search: only images of the same search are of use to it."""
        if self._done.get("search") != self._about("path"):
            self._state.unlink(missing_ok=True)
        self._note("search", self._about("path"))

    def write_path(self, path: ReactionPath) -> None:
        """Write the images of a path."""
        write_images(path.images, self._path)
        self._state.unlink(missing_ok=True)
        self._finish("path")

    def _frames(self, name: str) -> list[Atoms]:
        return list(ase.io.iread(self.folder / name))

    def _are_there(self, step: str) -> bool:
        return all((self.folder / name).is_file() for name in _FILES[step])

    def _about(self, step: str) -> dict[str, Any]:
        before = STEPS[: STEPS.index(step)][-1:]
        files = [self.folder / name for each in before for name in _FILES[each]]
        made_of = [zlib.crc32(f.read_bytes()) if f.is_file() else None for f in files]
        return {"settings": self._settings[step].sha256, "made_of": made_of}

    def _warn(self) -> None:
        stored = self._done.get("values", {})
        for step in STEPS:
            differs = self._settings[step].difference(stored.get(step))
            if step in self._done and differs:
                warnings.warn(
                    f"{self.folder}: {step} and what follows are done anew ({differs})",
                    stacklevel=2,
                )
                return

    def _finish(self, step: str) -> None:
        values = self._done.get("values", {})
        self._done["values"] = {**values, step: dict(self._settings[step].values)}
        self._note(step, self._about(step))

    def _note(self, key: str, about: dict[str, Any]) -> None:
        self._done[key] = about
        with writing(self._record, "go on with --resume"):
            write_json(self._record, self._done, indent=1)


def _read(record: Path) -> dict[str, Any]:
    try:
        found = json.loads(record.read_text("utf-8"))
    except ValueError:
        return {}  # cut short: everything is done anew
    return found if isinstance(found, dict) else {}
