"""Files of any known format, opened for import and written as a set."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from itertools import islice
from pathlib import Path
from typing import Any

from ase_physml.data.importers import BUILT_IN, GROUP
from ase_physml.data.importers.hdf5 import HDF5Importer
from ase_physml.data.importers.importer import Importer, Options, Source
from ase_physml.data.layout import open_file
from ase_physml.data.writer import Precision, RaggedWriter
from ase_physml.errors import DataError, PhysMLError


@cache
def importers() -> dict[str, Importer]:
    """Importers by name, those of other packages first."""
    found: dict[str, Importer] = {}
    for entry in entry_points(group=GROUP):
        importer = _of_other(entry.name, entry.value)
        if importer is not None:
            found[entry.name] = importer
    for name, place in BUILT_IN.items():
        module, _, kind = place.partition(":")
        found[name] = getattr(import_module(f"{__package__}.{module}"), kind)()
    return found


def open_source(
    path: str | Path, kind: str | Importer = "auto", options: Options | None = None
) -> Source:
    """Open a file for import.

    Args:
        path: File of any known format.
        kind: Name of a format, "auto" to look at the content, or an importer.
        options: Choices that the format leaves open.

    Raises:
        DataError: The file is missing or of no known format, or the format has no
            such option.
    """
    path = Path(path)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {what}; give the file to read")
    if isinstance(kind, Importer):
        return Source(path, kind, options or Options())
    name = detect(path) if kind == "auto" else kind
    known = importers()
    if name not in known:
        raise DataError(f"format {name!r} is not one of auto, {', '.join(known)}")
    return Source(path, known[name], options or Options())


def detect(path: Path) -> str:
    """Name of the format of a file, by its content.

    Raises:
        DataError: Empty, damaged, or HDF5 in a layout that no importer knows.
    """
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    for name, importer in importers().items():
        if _recognises(importer, path, name):
            return name
    raise DataError(_unknown(path))


def _recognises(importer: Importer, path: Path, name: str) -> bool:
    try:
        return importer.recognises(path)
    except PhysMLError:
        raise
    except Exception as error:
        # Code of somebody else raises anything.
        raise DataError(
            f"{path}: importer {name!r} cannot look at it ({type(error).__name__}: "
            f"{error}); say which --format it is"
        ) from error


def _unknown(path: Path) -> str:
    with open_file(path) as file:
        top = ", ".join(list(file)[:5]) or "nothing"
    known = [n for n, one in importers().items() if isinstance(one, HDF5Importer)]
    return (
        f"{path}: an HDF5 file in no layout known here (at the top: {top}); known are "
        f"{', '.join(known)}"
    )


def _of_other(name: str, place: str) -> Importer | None:
    """Importer of another package; a warning where there is none to be had."""
    if name in BUILT_IN:
        problem = "this package has a format of that name; call it otherwise"
    else:
        try:
            module, _, kind = place.partition(":")
            importer = getattr(import_module(module), kind)()
        except Exception as error:
            # Code of somebody else raises anything, and other formats need not suffer.
            problem = f"cannot be loaded ({type(error).__name__}: {error})"
        else:
            if isinstance(importer, Importer):
                return importer
            problem = f"is no {Importer.__module__}.Importer"
    warnings.warn(f"importer {name!r} ({place}): {problem}", stacklevel=2)
    return None


def convert(
    source: Source,
    out: str | Path,
    changes: dict[str, Any] | None = None,
    *,
    precision: Precision = "f8",
    limit: int | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> int:
    """Write all frames of a source as a set, one at a time.

    Args:
        source: Opened file; its ``notes`` tell afterwards what was left out.
        out: Set to write; replaced if it exists, and only when complete.
        changes: Fields of `Metadata` to state differently.
        precision: Dtype of positions and forces.
        limit: Stop after so many frames.
        on_frame: Called with 1 after each frame.

    Returns:
        Number of frames written.

    Raises:
        DataError: The source is damaged or has no frame that can be stored.
    """
    metadata = replace(source.metadata, **(changes or {}))
    if Path(out).resolve() == source.path.resolve():
        raise DataError(f"{out}: is the file to read; choose another name")
    with RaggedWriter(out, metadata, precision) as writer:
        for frame in islice(source, limit):
            writer.append(frame)
            if on_frame is not None:
                on_frame(1)
        if not writer.n_frames and source.notes.left_out:
            reason, count = source.notes.left_out.most_common(1)[0]
            raise DataError(
                f"{source.path}: no frame can be stored; {count} were left out: "
                f"{reason}"
            )
        if source.notes.labels:
            keys = {"label_keys": sorted(source.notes.labels)}
            writer.metadata = replace(metadata, extra={**metadata.extra, **keys})
    return writer.n_frames
