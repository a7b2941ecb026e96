"""Text in HDF5 files: of unknown length on its way in, of any kind on its way out."""

from itertools import islice
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import h5py

_ROWS = 8192


class TextColumn:
    """Collects strings in a scratch file until the longest is known.

    HDF5 compresses fixed-width text well and leaves variable-width text as it is, but
    the width has to be known before the first row is written.
    """

    def __init__(self) -> None:
        self._scratch = TemporaryFile()  # noqa: SIM115 - closed by `write`
        self._width = 1
        self.rows = 0

    def extend(self, values: list[str | None]) -> None:
        """Add rows; None is the empty text."""
        for value in values:
            encoded = " ".join((value or "").splitlines()).encode(
                errors="backslashreplace"
            )
            self._width = max(self._width, len(encoded))
            self._scratch.write(encoded + b"\n")
        self.rows += len(values)

    def write(
        self, file: "h5py.File", name: str, compression: dict[str, object]
    ) -> None:
        """Create the dataset, a bounded number of rows at a time."""
        kind = f"S{self._width}"
        chunk = max(1, min(_ROWS, self.rows))
        dataset = file.create_dataset(
            name, shape=(self.rows,), dtype=kind, chunks=(chunk,), **compression
        )
        self._scratch.seek(0)
        for start in range(0, self.rows, _ROWS):
            lines = [line[:-1] for line in islice(self._scratch, _ROWS)]
            dataset[start : start + len(lines)] = np.array(lines, dtype=kind)
        self.close()

    def close(self) -> None:
        """Drop the scratch file."""
        self._scratch.close()


def text(value: object) -> str:
    """An attribute or a name as text, however HDF5 stored it."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value)
