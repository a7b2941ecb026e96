"""``NUMBER.extxyz.xz`` of OC20's S2EF task (Chanussot et al. 2021), and its metadata.

Extended XYZ of slabs with adsorbates: total energies and forces of DFT, ``move_mask``
(false for atoms that were held) and ``tags`` (0 bulk, 1 surface, 2 adsorbate).
``NUMBER.txt.xz`` beside it has a line ``system,frame,reference energy`` for each frame;
the energy of adsorption is the total energy less that reference.
"""

import lzma
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ase.io

from ase_physml.data.atoms import from_atoms
from ase_physml.data.frame import Frame
from ase_physml.data.importers.source import Importer, Notes, Options
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError

LEVEL = "RPBE (VASP), OC20"
SOURCE = "OC20 (Chanussot et al. 2021, doi 10.1021/acscatal.0c04525)"
KINDS = {"adsorption": "adsorption energy", "total": "total energy"}
_STRUCTURES, _METADATA = ".extxyz.xz", ".txt.xz"


class OC20S2EF(Importer):
    """Frames named system/frame, with the energy of adsorption or the total one."""

    name = "oc20-s2ef"
    options = frozenset({"energy"})

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether there is metadata beside a compressed extended XYZ."""
        return path.name.endswith(_STRUCTURES) and _beside(path).is_file()

    def metadata(self, path: Path, options: Options) -> Metadata:
        """As published."""
        return oc20_metadata(kind_of_energy(options), equilibrium=False)

    def count(self, path: Path, options: Options) -> int | None:
        """Lines of the metadata."""
        return len(_references(path))

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream the frames.

        Raises:
            DataError: No metadata, a line that cannot be read, or another number of
                them than of frames.
        """
        total = kind_of_energy(options) == "total"
        lines = _references(path)
        read = 0
        for atoms in ase.io.iread(path, ":", format="extxyz"):
            if read < len(lines):
                name, reference = lines[read]
                frame = replace(from_atoms(atoms), name=name)
                if frame.energy is not None and not total:
                    frame = replace(frame, energy=frame.energy - reference)
                yield frame
            read += 1
        if read != len(lines):
            raise DataError(
                f"{path}: {read} frames, but {_beside(path).name} has {len(lines)} "
                "lines; one of them is truncated or of another part, get both again"
            )


def kind_of_energy(options: Options) -> str:
    """Which energy was asked for: "adsorption" unless it is "total".

    Raises:
        DataError: It is neither.
    """
    kind = options.energy or "adsorption"
    if kind not in KINDS:
        raise DataError(f"--energy {kind!r} is not one of {', '.join(KINDS)}")
    return kind


def oc20_metadata(kind: str, equilibrium: bool | None) -> Metadata:
    """What all releases of OC20 have in common."""
    return Metadata(LEVEL, KINDS[kind], equilibrium, SOURCE)


def _beside(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(_STRUCTURES) + _METADATA)


def _references(path: Path) -> list[tuple[str, float]]:
    """Name and reference energy in eV of each frame."""
    metadata = _beside(path)
    if not metadata.is_file():
        raise DataError(
            f"{path}: needs {metadata.name} beside it, which names the frames and has "
            "their reference energies"
        )
    with lzma.open(metadata, "rt") as file:
        return [_parsed(metadata, line) for line in file if line.strip()]


def _parsed(path: Path, line: str) -> tuple[str, float]:
    try:
        system, frame, reference = line.strip().split(",")
        # Frames are numbered "frame12".
        number = frame.strip().removeprefix("frame")
        return f"{system.strip()}/{number}", float(reference)
    except ValueError:
        raise DataError(
            f"{path}: {line.strip()!r} is not 'system,frame,reference energy'"
        ) from None
