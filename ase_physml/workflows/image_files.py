"""Trajectories of images: paths, ways down, modes."""

from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from ase.io.trajectory import TrajectoryReader, TrajectoryWriter
from ase.io.ulm import InvalidULMFileError as UlmError

from ase_physml.jobs.disk import atomic_write, writing
from ase_physml.jobs.identity import Identity
from ase_physml.workflows.relax import AFRESH


def write_images(
    images: Sequence[Atoms], path: Path, made_of: Identity | None = None
) -> None:
    """An ASE trajectory of a path, in place once it is complete.

    Raises:
        WriteError: It cannot be written.
    """
    with (
        writing(path, "go on with --resume"),
        atomic_write(path) as partial,
        TrajectoryWriter(partial, "w") as out,
    ):
        if made_of is not None:
            out.set_description({"made_of": dict(made_of.values)})
        for image in images:
            out.write(image)


def read_images(path: Path, made_of: Identity | None = None) -> list[Atoms]:
    """Images that `write_images` wrote; none where there is no file, or a broken one.

    Raises:
        DataError: They are of other work than ``made_of``.
    """
    try:
        with TrajectoryReader(path) as frames:
            stored, found = frames.description or {}, list(frames)
    except (OSError, ValueError, UlmError):
        return []
    if made_of is not None:
        made_of.check(stored.get("made_of"), path, AFRESH)
    return found
