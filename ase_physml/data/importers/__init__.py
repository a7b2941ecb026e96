"""One importer per published format, and the choice between them.

An importer is a generator of frames in eV, Å and eV/Å: units change here and nowhere
else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h5py

from ase_physml.data.frame import Frame
from ase_physml.data.ragged import Metadata
from ase_physml.errors import DataError


@dataclass
class Source:
    """An opened source.

    Attributes:
        frames: Generator of its frames.
        metadata: What the format says of its labels.
        total: Number of frames, if that is known before reading.
        notes: Filled while reading: frames left out, keys used.
    """

    frames: Iterator[Frame]
    metadata: Metadata
    total: int | None = None
    notes: dict[str, int] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Count something worth telling."""
        self.notes[text] = self.notes.get(text, 0) + 1


@dataclass(frozen=True)
class Options:
    """Choices that some formats leave open.

    Attributes:
        qm9_energy: "U0-ZPVE" (the electronic energy, which a calculator describes) or
            "U0" (the paper's label).
        exclude: File of identifiers to leave out, one a line.
        energy_unit: "eV", "Hartree" or "kcal/mol" of files that ASE reads.
    """

    qm9_energy: str = "U0-ZPVE"
    exclude: Path | None = None
    energy_unit: str = "eV"


Opener = Callable[[Path, Options], Source]


def open_source(
    path: Path, kind: str = "auto", options: Options | None = None
) -> Source:
    """Open a file for import.

    Args:
        path: File of any known format.
        kind: "auto" or one of `FORMATS`.
        options: See `Options`.

    Raises:
        DataError: The file is missing, or of no known format.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if kind == "auto":
        kind = detect(path)
    openers = formats()
    if kind not in openers:
        raise DataError(f"format {kind!r} is not one of {', '.join(openers)}")
    return openers[kind](path, options or Options())


def formats() -> dict[str, Opener]:
    """Name to opener."""
    from ase_physml.data.importers import ani, ase_any, qm9_archive, transition1x

    return {
        "ase": ase_any.open_file,
        "qm9": qm9_archive.open_file,
        "transition1x": transition1x.open_file,
        "ani1": ani.open_ani1,
        "ani1x": ani.open_ani1x,
    }


def detect(path: Path) -> str:
    """Format of a file, by its name and content."""
    if path.name.endswith((".tar.bz2", ".tar.gz", ".tar")):
        return "qm9"
    if not h5py.is_hdf5(path):
        return "ase"
    with h5py.File(path, "r") as file:
        if {"n_atoms", "atomic_numbers", "positions"} <= set(file):
            raise DataError(f"{path}: is in the project's layout already")
        if any(part in file for part in ("data", "train", "val", "test")):
            return "transition1x"
        first = next(iter(file.values()), None)
        if isinstance(first, h5py.Group):
            return "ani1x" if "atomic_numbers" in first else "ani1"
    raise DataError(
        f"{path}: an HDF5 file in no layout known here; name it with --format"
    )
