"""LMDB releases of OC20 and of what followed it.

Of IS2RE and S2EF: keys "0", "1", ... and pickles of torch_geometric's ``Data`` with
``pos`` (n, 3) Å, ``cell`` (1, 3, 3) Å, ``atomic_numbers`` (n,), ``tags``, ``fixed``
(n,), 1 for atoms that were held, and ``sid``; S2EF has ``y`` eV, ``force`` eV/Å and
``fid``, IS2RE ``y_init`` and ``y_relaxed`` eV and ``pos_relaxed`` Å. Energies are of
adsorption.

Newer ones (``.aselmdb``) are ASE databases: JSON, compressed.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ase_physml.data.atoms import from_atoms
from ase_physml.data.frame import Array, Frame
from ase_physml.data.importers.oc20_s2ef import oc20_metadata
from ase_physml.data.importers.source import Importer, Notes, Options
from ase_physml.data.importers.unpickle import Bag, fields_of, unpickle
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError

# Where the first page of such a file has it, in little-endian order.
_MAGIC, _MAGIC_AT = b"\xde\xc0\xef\xbe", slice(16, 20)


def is_lmdb(path: Path) -> bool:
    """Whether a file is an LMDB database, by its first page."""
    with path.open("rb") as file:
        return file.read(_MAGIC_AT.stop)[_MAGIC_AT] == _MAGIC


class OC20LMDB(Importer):
    """Structures of S2EF; of IS2RE the relaxed ones, or the initial ones."""

    name = "oc20-lmdb"
    options = frozenset({"part", "trust"})

    def metadata(self, path: Path, options: Options) -> Metadata:
        """As published; relaxed structures are minima."""
        part = _part(options)
        with _Values(path) as values:
            first = next(iter(values), b"")
        if first[:1] != b"\x80":
            return Metadata(source=f"{path.name}, an ASE database in LMDB")
        content = fields_of(_data(first, str(path), options.trust))
        is_relaxation = "y_relaxed" in content
        still = is_relaxation and part == "relaxed"
        metadata = oc20_metadata("adsorption", still)
        if is_relaxation:
            metadata.extra["part"] = part
        return metadata

    def count(self, path: Path, options: Options) -> int | None:
        """Entries that are structures."""
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
    """A frame of the fields of a ``Data``."""
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
    """A frame of a row of an ASE database."""
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
