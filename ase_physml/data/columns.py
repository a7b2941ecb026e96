"""Columns of a set: shape, dtype and unit of everything stored of a frame.

The layout of files, the checks of values, the writer, the reader, conversions of units,
labelling and batches follow this table. A new label is one line here and one field of
`Frame`, and one of `Evaluation` where calculators give it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]

# Kinds of NumPy dtypes that a file may have where the writer stores one of these.
_KINDS = {"i4": "iu", "u1": "iu", "?": "biu", "text": "SO"}
_REAL = "f"


@dataclass(frozen=True)
class Column:
    """Dataset of a file, and field of a frame.

    Attributes:
        name: Name of the dataset.
        per: Owner of a row: every "frame", or every "atom" of it.
        shape: Shape of a row.
        dtype: Name of NumPy's; "real" for the precision of the set, "text" for text.
        missing: Value that stands for "not given" in a file: NaN of labels, 0 or "" of
            columns that most frames lack; None of those that every frame has.
        unit: Unit of the values, "" for none.
        stated: Attribute of the file that states the unit, "" for none.
        field: Field of `Frame`; as the dataset if "".
        adds: Flag that values of a baseline and its correction add up.
        of_cells: Flag that only periodic structures with a volume have it.
    """

    name: str
    per: Literal["frame", "atom"]
    shape: tuple[int, ...] = ()
    dtype: str = "f8"
    missing: float | str | None = None
    unit: str = ""
    stated: str = ""
    field: str = ""
    adds: bool = False
    of_cells: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", self.field or self.name)

    @property
    def per_atom(self) -> bool:
        """True if every atom has a row."""
        return self.per == "atom"

    @property
    def kinds(self) -> str:
        """Kinds of NumPy dtypes that a file may have."""
        return _KINDS.get(self.dtype, _REAL)

    @property
    def is_real(self) -> bool:
        """True if it holds real numbers."""
        return self.kinds == _REAL

    @property
    def is_label(self) -> bool:
        """True if frames without it hold NaN."""
        return isinstance(self.missing, float) and isnan(self.missing)

    def shape_of(self, n: int) -> tuple[int, ...]:
        """Shape of the field of a frame of n atoms."""
        return (n, *self.shape) if self.per_atom else self.shape

    def problem(self, values: Any, n: int) -> str | None:
        """Fault of the field of a frame of n atoms, for people; None if it has none."""
        if self.dtype == "text":
            return None
        if np.shape(values) != self.shape_of(n):
            expected = f"for {n} atoms" if self.per_atom else f"expected {self.shape}"
            return f"{self.field} of shape {np.shape(values)} {expected}"
        if self.is_real and not np.isfinite(values).all():
            one = f"a {self.name.removesuffix('s')}" if self.per_atom else None
            return f"{one or f'the {self.name}'} is NaN or infinite"
        return None

    def is_wrong(self, rows: Values) -> Values:
        """Mask of stored rows of numbers that are not finite, but for NaN of labels."""
        bad = np.isinf(rows) if self.is_label else ~np.isfinite(rows)
        return np.asarray(bad.reshape(len(rows), -1).any(1))

    def rows(self, frames: Sequence[Any]) -> Values | None:
        """Rows of frames, ready to be stored; None if none of them has it."""
        values = [getattr(frame, self.field) for frame in frames]
        return None if all(v is None for v in values) else self.filled(frames)

    def filled(self, frames: Sequence[Any]) -> Values:
        """Rows of frames, with ``missing`` where one has it not."""
        values = [getattr(frame, self.field) for frame in frames]
        for k, frame in enumerate(frames):
            if values[k] is None:
                values[k] = np.full(self.shape_of(frame.n_atoms), self.missing)
        return np.concatenate(values) if self.per_atom else np.array(values)

    def value(self, stored: Any) -> Any:
        """Field of a frame, of its rows in a file; None where it is not given."""
        if self.dtype == "text":
            return text(stored) or None
        values = stored.astype(bool) if self.dtype == "?" else stored
        if self.is_label:
            absent = np.isnan(values).any()
        else:
            absent = self.missing is not None and not values.any()
        if absent:
            return None
        return values if np.ndim(values) else float(values)


def text(value: object) -> str:
    """Text of an attribute or a name, however HDF5 stored it."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value)


N_ATOMS = Column("n_atoms", "frame", dtype="i4")
"""Number of atoms of each frame, by which the rows of all others are found."""

COLUMNS = (
    Column("atomic_numbers", "atom", dtype="u1", field="numbers"),
    Column("positions", "atom", (3,), "real", unit="angstrom", stated="length_unit"),
    Column("energy", "frame", missing=nan, unit="eV", stated="energy_unit", adds=True),
    Column(
        "forces", "atom", (3,), "real", nan, "eV/angstrom", "forces_unit", adds=True
    ),
    Column("cell", "frame", (3, 3), missing=0, unit="angstrom"),
    Column("pbc", "frame", (3,), "?", missing=0),
    Column("fixed", "atom", dtype="?", missing=0),
    Column("charges", "atom", dtype="real", missing=nan, unit="e"),
    Column("dipole", "frame", (3,), missing=nan, unit="e angstrom"),
    Column("spread", "frame", missing=nan, unit="eV/angstrom"),
    Column(
        "stress", "frame", (3, 3), "f8", nan, "eV/angstrom^3", adds=True, of_cells=True
    ),
    Column("name", "frame", dtype="text", missing=""),
    Column("smiles", "frame", dtype="text", missing=""),
)
"""Columns of a file, in the order in which they are written."""

BY_NAME = {column.name: column for column in (N_ATOMS, *COLUMNS)}
REQUIRED = tuple(c.name for c in BY_NAME.values() if c.missing is None)
# The layout knows one unit for each quantity; units change at importers only.
UNITS = {column.stated: column.unit for column in COLUMNS if column.stated}
