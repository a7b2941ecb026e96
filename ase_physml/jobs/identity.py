"""Identity of a job: everything its result depends on.

It is a mapping of plain values, the same in every process and run for equal inputs. It
is stored with the results, and compared before any of them is used again. A file in it
is its hash, see `ase_physml.jobs.file_hash`.

Equal values are those that compute the same: 1 and 1.0, 0.0 and -0.0, a list and a
tuple, a number and NumPy's are equal, True and 1 are not. Arrays are equal if dtype,
shape and values are, whatever their byte order or strides.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AnySet
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from ase import Atoms

from ase_physml.errors import DataError
from ase_physml.jobs.disk import write_json
from ase_physml.jobs.file_hash import FILE_HASH

CALLED = "called"
"""Key of a mapping: its name for people. Not compared: names do not make things."""

ABSENT = "not there"
"""Value of a `Difference` where one of both has none."""

# Longer texts and lists, in letters of JSON, are kept as their hash.
_WHOLE = 400
_SHOWN, _HASH = 60, 8
# Of a structure's ``info``, what it says of electrons; other entries compute nothing.
_ELECTRONS = ("charge", "total_charge", "spin", "multiplicity", "spin_multiplicity")
_PER_ATOM = ("initial_charges", "initial_magmoms", "masses")


@dataclass(frozen=True)
class Identity:
    """Inputs and settings that a result depends on.

    Attributes:
        values: Plain values by name, as `canonical` gives them.
    """

    values: Mapping[str, Any]

    @classmethod
    def of(cls, kind: str, version: int, **values: object) -> Self:
        """Identity of a job.

        Args:
            kind: Name of what is done: "relax".
            version: Version of the stored results; another one cannot be resumed.
            **values: Inputs, settings, potentials. See `canonical`.

        Raises:
            TypeError: A value that has no identity.
        """
        return cls({"kind": kind, "version": version, **canonical(values)})

    @property
    def sha256(self) -> str:
        """SHA-256 of the values, in hexadecimal."""
        return digest(self.values)

    def difference(self, stored: object) -> str:
        """Differences from stored values, for people: "" if there are none.

        Args:
            stored: ``values`` of an earlier identity, or whatever lies in its place.
        """
        if not isinstance(stored, Mapping) or "kind" not in stored:
            return "nothing says what they were made of"
        return "; ".join(map(str, differences(stored, self.values)))

    def check(self, stored: object, where: object, afresh: str) -> None:
        """Refuse results of something else.

        Args:
            stored: As of `difference`.
            where: File or folder that holds them.
            afresh: Advice how to start over.

        Raises:
            DataError: In one line: what differs, and ``afresh``.
        """
        found = self.difference(stored)
        if found:
            raise DataError(f"{where}: holds results of other work ({found}); {afresh}")

    def check_or_write(self, path: Path, afresh: str) -> None:
        """Compare with the file that says whose results lie beside it, or write it.

        Args:
            path: JSON file.
            afresh: Advice how to start over.

        Raises:
            DataError: As of `check`.
        """
        if path.exists():
            self.check(_read(path), path.parent, afresh)
        else:
            write_json(path, dict(self.values), indent=1)


class Difference(NamedTuple):
    """Value that is not what it was.

    Attributes:
        key: Name of the value; of one in a mapping, after the mapping's and a dot.
        before: Value of earlier, in JSON's types.
        now: Value of now.
    """

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        if _is_file(self.before) and _is_file(self.now):
            return f"{self.key} has another content"
        was, is_ = _said(self.before, self.now), _said(self.now, self.before)
        return f"{self.key} was {was}, is {is_}"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Values of two mappings that differ, each with its key.

    Args:
        before: Values in JSON's types, as `canonical` gives them, perhaps from a file.
        now: Others.
    """
    return _differences(before, now, "")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError:
        return None  # cut short, or not ours


def digest(value: object) -> str:
    """SHA-256 of a value in hexadecimal; equal values have equal ones.

    Raises:
        TypeError: As of `canonical`.
    """
    text = json.dumps(_compared(canonical(value)), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value: object) -> Any:
    """Value in JSON's types: equal for equal values, and of bounded length.

    Args:
        value: None, bool, number, text, bytes, path, enum, array, structure,
            dataclass, or a mapping (keys are texts), sequence or set of those. Of long
            texts, sequences and of arrays the hash is kept.

    Raises:
        TypeError: Anything else, of which nobody knows what its equals are.
    """
    if isinstance(value, Enum):
        return canonical(value.value)
    if isinstance(value, str):
        return _short(str(value), len(value))
    if value is None or isinstance(value, bool | np.bool):
        return value if value is None else bool(value)
    if isinstance(value, int | float | np.number):
        return _number(value)
    if isinstance(value, bytes):
        return {"length": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, PurePath):
        return canonical(str(value))
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, Atoms):
        return canonical(_structure(value))
    return _several(value)


def _several(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        # Field by field: `asdict` copies deeply, and knows no arrays or structures.
        return {f.name: canonical(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"a key must be text to have an identity, not {key!r}")
        return {str(key): canonical(value[key]) for key in sorted(value)}
    if isinstance(value, AnySet):
        items = [canonical(item) for item in value]
        return _short(sorted(items, key=_text), len(items))
    if isinstance(value, Sequence):
        return _short([canonical(item) for item in value], len(value))
    raise TypeError(f"{type(value).__name__} objects have no identity: {value!r:.60}")


def _number(value: int | float | np.number[Any]) -> Any:
    plain = value.item() if isinstance(value, np.number) else value
    if isinstance(plain, complex):
        return [_number(plain.real), _number(plain.imag)]
    if not np.isfinite(plain):
        return str(plain)
    # Whole numbers as such, whatever their type: 1.0 is 1, and -0.0 is 0.
    return int(plain) if plain == int(plain) else float(plain)


def _array(value: npt.NDArray[Any]) -> Any:
    if value.dtype.hasobject or value.dtype.kind not in "biufcSU":
        return canonical(value.tolist())
    kind = value.dtype.newbyteorder("<")
    plain = np.array(value, dtype=kind, order="C")
    if kind.kind in "fc":
        plain += 0.0  # -0.0 becomes 0.0
        plain[np.isnan(plain)] = np.nan  # of many bit patterns one
    content = hashlib.sha256(plain.tobytes()).hexdigest()
    return {"dtype": kind.str, "shape": list(value.shape), "sha256": content}


def _structure(atoms: Atoms) -> dict[str, Any]:
    """Everything that a calculator or an optimizer looks at; not names and results."""
    electrons = {k: atoms.info[k] for k in _ELECTRONS if k in atoms.info}
    set_by_user = {k: atoms.arrays[k] for k in _PER_ATOM if atoms.has(k)}
    return {
        CALLED: atoms.get_chemical_formula(),
        "numbers": np.asarray(atoms.numbers, dtype="<i8"),
        "positions": np.asarray(atoms.positions, dtype="<f8"),
        "cell": atoms.cell.array.tolist(),
        "pbc": atoms.pbc.tolist(),
        "constraints": [_constraint(one) for one in atoms.constraints],
        **electrons,
        **{key: np.asarray(value, dtype="<f8") for key, value in set_by_user.items()},
    }


def _constraint(constraint: Any) -> Any:
    known = constraint.todict() if hasattr(constraint, "todict") else vars(constraint)
    return {"class": type(constraint).__name__, **known}


def _text(plain: object) -> str:
    return json.dumps(plain, sort_keys=True)


def _short(plain: Any, length: int) -> Any:
    """Value itself, or its length and hash."""
    text = _text(_compared(plain))
    if len(text) <= _WHOLE:
        return plain
    return {
        "length": length,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _compared(plain: Any) -> Any:
    """Value without the names of things."""
    if isinstance(plain, Mapping):
        return {k: _compared(v) for k, v in plain.items() if k != CALLED}
    return [_compared(one) for one in plain] if isinstance(plain, list) else plain


def _differences(before: Any, now: Any, path: str) -> list[Difference]:
    # As texts: True and 1 are equal to Python, and work otherwise.
    if _text(_compared(before)) == _text(_compared(now)):
        return []
    both = isinstance(before, Mapping) and isinstance(now, Mapping)
    if not both or any(CALLED in one or "sha256" in one for one in (before, now)):
        return [Difference(path, before, now)]
    found: list[Difference] = []
    for key in {**before, **now}:
        inner = f"{path}.{key}" if path else key
        found += _differences(before.get(key, ABSENT), now.get(key, ABSENT), inner)
    return found


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(FILE_HASH)


def _said(value: Any, other: Any) -> str:
    """Value in few words; of one with a name also in what it is another."""
    if not isinstance(value, Mapping):
        return _brief(value)
    if CALLED not in value:
        return _brief(value)
    others = other if isinstance(other, Mapping) else {}
    mine = {k: v for k, v in value.items() if k != CALLED}
    parts = [f"{k} {_brief(v)}" for k, v in mine.items() if v != others.get(k)]
    return f"{value[CALLED]} ({', '.join(parts)})" if parts else str(value[CALLED])


def _brief(value: Any) -> str:
    if isinstance(value, Mapping) and "sha256" in value:
        return _brief(value["sha256"])
    if (
        isinstance(value, str)
        and len(value) == 64
        and set(value) <= set("0123456789abcdef")
    ):
        return value[:_HASH]
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
