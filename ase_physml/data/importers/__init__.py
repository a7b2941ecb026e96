"""One importer per published format, and the choice between them.

Each importer streams frames in eV, Å and eV/Å: units change there and nowhere else.
"""

import tarfile
from pathlib import Path

import h5py

from ase_physml.data.importers.ani1 import ANI1
from ase_physml.data.importers.ani1x import ANI1x
from ase_physml.data.importers.ani2x import ANI2x
from ase_physml.data.importers.ase_any import AnyOfASE
from ase_physml.data.importers.hdf5 import HDF5Importer
from ase_physml.data.importers.oc20_lmdb import OC20LMDB, is_lmdb
from ase_physml.data.importers.oc20_s2ef import OC20S2EF
from ase_physml.data.importers.own import Own
from ase_physml.data.importers.qm9_archive import QM9Archive
from ase_physml.data.importers.source import Importer, Options, Source
from ase_physml.data.importers.transition1x import Transition1x
from ase_physml.data.layout import open_file
from ase_physml.errors import DataError

__all__ = ["FORMATS", "Options", "Source", "detect", "open_source"]

# In the order in which they are tried.
_OF_HDF5: tuple[HDF5Importer, ...] = (
    Own(),
    Transition1x(),
    ANI1x(),
    ANI2x(),
    ANI1(),
)
_OTHERS: tuple[Importer, ...] = (QM9Archive(), OC20S2EF(), OC20LMDB(), AnyOfASE())
FORMATS = {importer.name: importer for importer in (*_OTHERS, *_OF_HDF5)}


def open_source(
    path: str | Path, kind: str = "auto", options: Options | None = None
) -> Source:
    """Open a file for import.

    Args:
        path: File of any known format.
        kind: "auto", to look at the content, or one of `FORMATS`.
        options: Choices that the format leaves open.

    Raises:
        DataError: The file is missing or of no known format, or the format has no
            such option.
    """
    path = Path(path)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {what}; give the file to read")
    if kind == "auto":
        kind = detect(path)
    if kind not in FORMATS:
        raise DataError(f"format {kind!r} is not one of auto, {', '.join(FORMATS)}")
    return Source(path, FORMATS[kind], options or Options())


def detect(path: Path) -> str:
    """Format of a file, by its content.

    Raises:
        DataError: Empty, or HDF5 in a layout that no importer knows.
    """
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    if h5py.is_hdf5(path):
        return _detect_hdf5(path)
    if tarfile.is_tarfile(path):
        return QM9Archive.name
    if is_lmdb(path):
        return OC20LMDB.name
    return OC20S2EF.name if OC20S2EF.recognises(path) else AnyOfASE.name


def _detect_hdf5(path: Path) -> str:
    with open_file(path) as file:
        for importer in _OF_HDF5:
            if importer.recognises(file):
                return importer.name
        top = ", ".join(list(file)[:5]) or "nothing"
    raise DataError(
        f"{path}: an HDF5 file in no layout known here (at the top: {top}); known are "
        "the project's own, Transition1x, ANI-1, ANI-1x and ANI-2x"
    )
