"""The library of `src/`: where it is, and its functions and structures in Python."""

import ctypes
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from ase_physml.native.build import ADVICE, BuildError, build, library_name

_Int, _Real, _Pointer = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


def _fields(kind: Any, names: str) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names.split()]


class Model(ctypes.Structure):
    """`Model` of model.hpp."""

    _fields_ = (
        *_fields(
            _Int, "width channels hidden flow directed depth heads species nodes betas"
        ),
        *_fields(_Real, "cutoff reach pair_cutoff step"),
        *_fields(_Pointer, "weights curves transposed"),
    )


class Batch(ctypes.Structure):
    """`Batch` of model.hpp."""

    _fields_ = (
        *_fields(_Int, "structures atoms pairs"),
        *_fields(_Pointer, "species starts positions pair_atoms vectors"),
        ("splitting", _Real),
        *_fields(_Pointer, "wave_starts waves by_energies by_charges energies charges"),
        *_fields(_Pointer, "forces strain by_weights by_curves"),
        *_fields(_Real, "shortest largest"),
        *_fields(_Int, "alone near"),
    )


class Tables(ctypes.Structure):
    """`Tables` of model.hpp."""

    _fields_ = (
        *_fields(_Int, "species nodes functions width depth"),
        *_fields(_Pointer, "factors basis filters bias products curves"),
        *_fields(_Pointer, "by_basis by_filters by_bias"),
    )


@cache
def shared_object() -> ctypes.CDLL:
    """The library: that of the package, or one that is built now and kept.

    Raises:
        BuildError: There is none, and none can be built; in one line.
    """
    path = Path(__file__).with_name(library_name())
    try:
        found = ctypes.CDLL(str(path if path.is_file() else _from_cache()))
    except OSError as error:
        raise BuildError(str(error).splitlines()[0]) from error
    pointers = ctypes.POINTER(Model), ctypes.POINTER(Batch)
    found.physml_prepare.argtypes = (pointers[0], _Int)
    found.physml_evaluate.argtypes = (*pointers, _Int)
    found.physml_tabulate.argtypes = (ctypes.POINTER(Tables), _Int)
    found.physml_tabulate.restype = None
    found.physml_prepare.restype = found.physml_evaluate.restype = None
    found.physml_kind.argtypes, found.physml_kind.restype = (_Int,), _Int
    return found


@cache
def failure() -> str:
    """Reason why there is no library, and what to do; or ""."""
    try:
        shared_object()
    except BuildError as error:
        return f"{error}; {ADVICE}"
    return ""


def _from_cache() -> Path:
    folder = cache_folder()
    path = folder / library_name()
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Processes that start together build once.
        with FileLock(folder / "building.lock"):
            return path if path.is_file() else build(folder)
    except OSError:
        # No folder may be written to: each process builds anew.
        return build(Path(tempfile.mkdtemp(prefix="physml-")))


def cache_folder() -> Path:
    """Folder of the user for what is built at the first use."""
    if given := os.environ.get("ASE_PHYSML_CACHE"):
        return Path(given)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ase_physml"
