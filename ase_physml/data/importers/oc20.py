"""Open Catalyst 2020 (OC20): extended XYZ of S2EF, and LMDB."""

import lzma
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np

from ase_physml.data.conversion import from_atoms
from ase_physml.data.frame import Array, Frame
from ase_physml.data.importers.importer import Importer, Notes, Options
from ase_physml.data.importers.unpickle import Bag, fields_of, unpickle
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError

_LEVEL = "RPBE (VASP), OC20"
_SOURCE = "OC20 (Chanussot et al. 2021, doi 10.1021/acscatal.0c04525)"
_KINDS = {"adsorption": "adsorption energy", "total": "total energy"}
_STRUCTURES, _METADATA = ".extxyz.xz", ".txt.xz"
# Where the first page of such a file has it, in little-endian order.
_MAGIC, _MAGIC_AT = b"\xde\xc0\xef\xbe", slice(16, 20)


class OC20S2EF(Importer):
    """S2EF task, ``NUMBER.extxyz.xz`` (Chanussot et al. 2021).

    Extended XYZ of slabs with adsorbates: total energies and forces of DFT,
    ``move_mask`` (false for atoms that were held) and ``tags`` (0 bulk, 1 surface, 2
    adsorbate). ``NUMBER.txt.xz`` beside it has a line ``system,frame,reference energy``
    for each frame; the energy of adsorption is the total energy less that reference.
    Frames are named system/frame.
    """

    name = "oc20-s2ef"
    options = frozenset({"energy"})

    def recognises(self, path: Path) -> bool:
        """True if there is metadata beside a compressed extended XYZ."""
        return path.name.endswith(_STRUCTURES) and _beside(path).is_file()

    def metadata(self, path: Path, options: Options) -> Metadata:
        """Level of theory as published."""
        return _oc20_metadata(_kind_of_energy(options), equilibrium=False)

    def count(self, path: Path, options: Options) -> int | None:
        """Number of lines of the metadata."""
        return len(_references(path))

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream the frames.

        Raises:
            DataError: No metadata, a line that cannot be read, or another number of
                them than of frames.
        """
        total = _kind_of_energy(options) == "total"
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


def _kind_of_energy(options: Options) -> str:
    """Kind of energy that was asked for: "adsorption" unless it is "total".

    Raises:
        DataError: It is neither.
    """
    kind = options.energy or "adsorption"
    if kind not in _KINDS:
        raise DataError(f"--energy {kind!r} is not one of {', '.join(_KINDS)}")
    return kind


def _oc20_metadata(kind: str, equilibrium: bool | None) -> Metadata:
    """Metadata that all releases of OC20 have in common."""
    return Metadata(_LEVEL, _KINDS[kind], equilibrium, _SOURCE)


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


class OC20LMDB(Importer):
    """LMDB releases of OC20 and of what followed it.

    Of IS2RE and S2EF: keys "0", "1", ... and pickles of torch_geometric's ``Data`` with
    ``pos`` (n, 3) Å, ``cell`` (1, 3, 3) Å, ``atomic_numbers`` (n,), ``tags``, ``fixed``
    (n,), 1 for atoms that were held, and ``sid``; S2EF has ``y`` eV, ``force`` eV/Å and
    ``fid``, IS2RE ``y_init`` and ``y_relaxed`` eV and ``pos_relaxed`` Å, of which the
    relaxed structures are read, or the initial ones. Energies are of adsorption.

    Newer ones (``.aselmdb``) are ASE databases: JSON, compressed.
    """

    name = "oc20-lmdb"
    options = frozenset({"part", "trust"})

    def recognises(self, path: Path) -> bool:
        """True if it is an LMDB database, by its first page."""
        with path.open("rb") as file:
            return file.read(_MAGIC_AT.stop)[_MAGIC_AT] == _MAGIC

    def metadata(self, path: Path, options: Options) -> Metadata:
        """Level of theory as published; relaxed structures are minima."""
        part = _part(options)
        with _Values(path) as values:
            first = next(iter(values), b"")
        if first[:1] != b"\x80":
            return Metadata(source=f"{path.name}, an ASE database in LMDB")
        content = fields_of(_data(first, str(path), options.trust))
        is_relaxation = "y_relaxed" in content
        still = is_relaxation and part == "relaxed"
        metadata = _oc20_metadata("adsorption", still)
        if is_relaxation:
            metadata.extra["part"] = part
        return metadata

    def count(self, path: Path, options: Options) -> int | None:
        """Number of entries that are structures."""
        with _Values(path) as values:
            return len(values.keys)

    def read(self, path: Path, options: Options, notes: Notes) -> Iterator[Frame]:
        """Stream the frames, in the order of their numbers.

        Raises:
            DataError: lmdb is not installed, or a value that cannot be read.
        """
        part = _part(options)
        with _Values(path) as values:
            for key, value in zip(values.keys, values, strict=True):
                where = f"{path}: {key}"
                if value[:1] == b"\x80":
                    data = _data(value, where, options.trust)
                    yield _of_data(fields_of(data), part, where)
                else:
                    yield _of_row(value, where)


class _Values:
    """Values of the numbered keys, in the order of the numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys: list[int] = []

    def __enter__(self) -> "_Values":
        try:
            import lmdb
        except ImportError as error:
            raise DataError(
                f"{self.path}: needs the extra: pip install 'ase-physml[oc20]'"
            ) from error
        try:
            self.file = lmdb.open(
                str(self.path), subdir=False, readonly=True, lock=False, readahead=False
            )
        except lmdb.Error as error:
            raise DataError(f"{self.path}: not a whole LMDB file ({error})") from error
        with self.file.begin() as view:
            names = [bytes(key) for key in view.cursor().iternext(values=False)]
        # The others say how many there are.
        self.keys = sorted(int(name) for name in names if name.isdigit())
        return self

    def __iter__(self) -> Iterator[bytes]:
        with self.file.begin() as view:
            for key in self.keys:
                yield bytes(view.get(str(key).encode()) or b"")

    def __exit__(self, *_reason: object) -> None:
        self.file.close()


def _part(options: Options) -> str:
    part = options.part or "relaxed"
    if part not in ("relaxed", "initial"):
        raise DataError(f"--part {part!r} is not one of relaxed, initial")
    return part


def _data(value: bytes, where: str, trust: bool) -> Bag:
    found = unpickle(value, where, trust)
    if not isinstance(found, Bag):
        raise DataError(
            f"{where}: a {type(found).__name__}, not torch_geometric's Data"
        )
    return found


def _of_data(content: dict[str, Any], part: str, where: str) -> Frame:
    """Frame of the fields of a ``Data``."""
    energy, forces, positions, name = "y", "force", "pos", str(content.get("sid", ""))
    if "y_relaxed" in content:
        relaxed = part == "relaxed"
        energy = "y_relaxed" if relaxed else "y_init"
        positions = "pos_relaxed" if relaxed else "pos"
    elif "fid" in content:
        name = f"{name}/{_number(content['fid']):.0f}"
    try:
        held = _array(content["fixed"]).astype(bool) if "fixed" in content else None
        return Frame(
            numbers=_array(content["atomic_numbers"]).astype(np.uint8),
            positions=_array(content[positions]).astype(np.float64),
            # The test sets have none.
            energy=_number(content[energy]) if energy in content else None,
            forces=_array(content[forces]) if forces in content else None,
            cell=_array(content["cell"]).astype(np.float64).reshape(3, 3),
            pbc=np.ones(3, dtype=bool),
            name=name or None,
            fixed=held,
        )
    except KeyError as error:
        raise DataError(
            f"{where}: has no {error}, only {', '.join(sorted(content))}"
        ) from None


def _array(values: Any) -> Array:
    return np.asarray(values)


def _number(value: Any) -> float:
    return float(np.asarray(value).reshape(()))


def _of_row(value: bytes, where: str) -> Frame:
    """Frame of a row of an ASE database."""
    from ase.db.row import AtomsRow
    from ase.io.jsonio import decode

    try:
        row = AtomsRow(decode(zlib.decompress(value).decode()))
        atoms = row.toatoms()
    except (zlib.error, ValueError, KeyError, AttributeError) as error:
        raise DataError(
            f"{where}: neither a pickle nor a row of an ASE database ({error})"
        ) from error
    return from_atoms(atoms)
