"""Results of a calculator for frames: computed in a worker, kept in a journal."""

import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from ase import Atoms

from ase_physml.data.columns import BY_NAME
from ase_physml.data.conversion import result_of, to_atoms
from ase_physml.data.frame import Evaluation, Frame

Result = Evaluation | str
"""Labels that a calculator gives a frame, or the reason why there are none."""

Maker = Callable[[str], Any]
"""Function from a name to an ASE calculator, at the top level of a module."""

# Kinds: text of a failure; labels, after a line that names their columns.
_FAILURE, _LABELS = 0, 5
_PER = ("frame", "atom")
# Columns of the kinds that earlier versions wrote, without such a line.
_EARLIER = {
    1: ("energy", "forces"),
    2: ("energy", "forces", "charges", "dipole"),
    3: ("energy", "forces", "spread"),
    4: ("energy", "forces", "charges", "dipole", "spread"),
}


def compute_each(
    make: Maker, name: str, version: str, frames: Sequence[tuple[int, Frame]]
) -> list[Result]:
    """Results of every one of numbered structures.

    Args:
        make: Function that builds the calculator, once in each process.
        name: Name of the calculator, for ``make``.
        version: Identity that tells it from an earlier one of its name, which a process
            may have.
        frames: Numbers and structures.
    """
    return [compute(make, name, version, frame) for _, frame in frames]


def compute(make: Maker, name: str, version: str, frame: Frame) -> Result:
    """Result of one structure; see `compute_each`."""
    calculator = _calculator(make, name, version)
    atoms = to_atoms(frame, labels=False)
    atoms.calc = calculator
    try:
        # A fresh start each time: otherwise a result would depend, in its last digits,
        # on which structures the process saw before.
        if hasattr(calculator, "reset"):
            calculator.reset()
        energy = float(atoms.get_potential_energy())
        # Of atoms that are held too: labels are what acts, not what may move.
        forces = atoms.get_forces(apply_constraint=False)
    except Exception as error:
        # Calculators raise anything; the other structures should not pay for it.
        return f"{type(error).__name__}: {error}"
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        return "the calculator returned NaN or infinity"
    return Evaluation(energy, forces, **_at_hand(atoms, calculator))


def _at_hand(atoms: Atoms, calculator: Any) -> dict[str, Any]:
    """Labels that came with the energy; none is worth a calculation of its own."""
    results = dict(getattr(calculator, "results", {}))
    if results.get("forces_std") is not None:
        stds = np.linalg.norm(results["forces_std"], axis=1)
        results["spread"] = float(stds.max())
    optional = Evaluation._field_defaults
    return {name: result_of(BY_NAME[name], atoms, results) for name in optional}


@lru_cache(maxsize=1)
def _calculator(make: Maker, name: str, version: str) -> Any:  # noqa: ARG001 - a key
    return make(name)


def pack_result(result: Result) -> tuple[int, bytes]:
    """Kind and bytes of a record of a `Journal`."""
    if isinstance(result, str):
        return _FAILURE, result.encode()
    given = {n: v for n, v in result._asdict().items() if v is not None}
    values = np.concatenate([np.ravel(v) for v in given.values()])
    return _LABELS, " ".join(given).encode() + b"\n" + values.astype("<f8").tobytes()


def unpack_result(kind: int, payload: bytes) -> Result:
    """Result of a record, also of those that earlier versions wrote."""
    if kind == _FAILURE:
        return payload.decode()
    if kind == _LABELS:
        line, _, payload = payload.partition(b"\n")
        names = line.decode().split()
    else:
        names = list(_EARLIER[kind])
    values = np.frombuffer(payload, dtype="<f8").astype(np.float64)
    columns = [BY_NAME[name] for name in names]
    sizes = {per: sum(prod(c.shape) for c in columns if c.per == per) for per in _PER}
    # Forces are always there, and so some values are of atoms.
    n = (len(values) - sizes["frame"]) // sizes["atom"]
    found: dict[str, Any] = {}
    for column in columns:
        shape = column.shape_of(n)
        part, values = np.split(values, [prod(shape)])
        found[column.name] = part.reshape(shape) if shape else float(part[0])
    return Evaluation(**found)


def checksum(frame: Frame) -> int:
    """Checksum of a structure, 32 bits: elements, positions, cell."""
    numbers = np.ascontiguousarray(frame.numbers, dtype="<i8")
    found = zlib.crc32(numbers.tobytes())
    for values, kind in (
        (frame.positions, "<f8"),
        (frame.cell, "<f8"),
        (frame.pbc, "?"),
    ):
        if values is not None:
            found = zlib.crc32(np.ascontiguousarray(values, kind).tobytes(), found)
    return found
