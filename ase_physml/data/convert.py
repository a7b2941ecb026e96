"""From any format to a set."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from ase_physml.data.importers import Source
from ase_physml.data.writer import Precision, RaggedWriter
from ase_physml.errors import DataError


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
        precision: dtype of positions and forces.
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
