"""Total charge and multiplicity that a structure states: the one place that knows.

Packages keep them under names of their own in ``atoms.info``; ASE has charges and
moments of atoms, set at the start or read from a file as results.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ase_physml.errors import StructureError

# Compared without case, in order of preference.
CHARGE_KEYS = (
    "charge",
    "total_charge",
    "net_charge",
    "molecular_charge",
    "formal_charge",
    "tot_charge",
    "pubchem_total_charge",
)
# All of 2S+1: so fairchem, AIMNet2, MACE, ORCA and Q-Chem use these names.
MULTIPLICITY_KEYS = (
    "spin",
    "multiplicity",
    "spin_multiplicity",
    "total_spin",
    "mult",
)
UNPAIRED_KEYS = (
    "unpaired_electrons",
    "n_unpaired",
    "num_unpaired",
    "uhf",
    "number_of_radical_electrons",
)

_KEYS = frozenset((*CHARGE_KEYS, *MULTIPLICITY_KEYS, *UNPAIRED_KEYS))

_ROUND_OFF = 0.05
"""Below it a total charge in e is zero: partial charges are printed to few digits."""

_PER_ATOM = 5e-4
"""The same for each of many atoms: the round-off of three digits."""

_HALF = 0.5
"""From here on a sum of however many charges is not that of a neutral structure."""

_CHARGES, _MOMENT = "charges of atoms in the file", "the magnetic moment in the file"


@dataclass(frozen=True)
class Stated:
    """A number, and where it was found.

    Attributes:
        value: Total charge in e, or multiplicity 2S+1.
        source: Place that states it, for messages, such as ``atoms.info['charge']``.
    """

    value: float
    source: str


def is_neutral(charge: float, atoms: int = 1) -> bool:
    """A total charge is zero but for the round-off of partial charges.

    Args:
        charge: Total charge in e; NaN is not neutral.
        atoms: Number of charges that were added up.
    """
    return abs(charge) < max(_ROUND_OFF, min(_PER_ATOM * atoms, _HALF))


def is_singlet(multiplicity: float) -> bool:
    """A multiplicity 2S+1 is one."""
    return abs(multiplicity - 1.0) < _ROUND_OFF


def total_charge(atoms: Atoms) -> Stated | None:
    """Total charge in e: of ``info``, else the sum over atoms; None if none is stated.

    Charges of atoms that a file has as results (of a population analysis, so not to
    many digits) count as the nearest whole number.

    Raises:
        StructureError: What is stated is no number, or two numbers.
    """
    stated = _agreed(_of_info(atoms, CHARGE_KEYS))
    if stated is not None:
        return stated
    initial = atoms.arrays.get("initial_charges", np.zeros(0))
    if initial.any():
        largest = int(np.abs(initial).argmax())
        return Stated(
            float(initial.sum()),
            f"the initial charges, {initial[largest]:+g} on atom "
            f"{_label(atoms, largest)}",
        )
    charges = _result(atoms, "charges")
    if charges is None or charges.shape != (len(atoms),):
        return None
    total = float(charges.sum())
    # Adding zero turns -0 into 0.
    return Stated(round(total) + 0.0 if np.isfinite(total) else total, _CHARGES)


def multiplicity(atoms: Atoms) -> Stated | None:
    """Multiplicity 2S+1: of ``info``, else of moments; None if none is stated.

    Zero under a name of the multiplicity is a singlet: it stands for 2S, or for
    "not set".

    Raises:
        StructureError: What is stated is no number, or two numbers.
    """
    found = [
        Stated(1.0 if one.value == 0.0 else one.value, one.source)
        for one in _of_info(atoms, MULTIPLICITY_KEYS)
    ]
    found += [
        Stated(one.value + 1.0, one.source) for one in _of_info(atoms, UNPAIRED_KEYS)
    ]
    stated = _agreed(found)
    if stated is not None:
        return stated
    # One moment per atom, or a vector where the spins are not collinear.
    moments = atoms.arrays.get("initial_magmoms", np.zeros(0))
    moments = moments[:, None] if moments.ndim == 1 else moments
    if moments.any():
        sizes = np.linalg.norm(moments, axis=1)
        largest = int(sizes.argmax())
        return Stated(
            float(np.linalg.norm(moments.sum(axis=0))) + 1.0,
            f"the initial magnetic moments, {sizes[largest]:g} on atom "
            f"{_label(atoms, largest)}",
        )
    moment = _result(atoms, "magmom")
    if moment is None or not np.isfinite(moment).all():
        return None
    return Stated(round(float(np.linalg.norm(moment))) + 1.0, _MOMENT)


def is_silent(atoms: Atoms) -> bool:
    """Nothing but arrays of atoms states its electrons: known at a glance."""
    if isinstance(atoms.calc, SinglePointCalculator):
        return False
    return not any(isinstance(k, str) and k.lower() in _KEYS for k in atoms.info)


def state(atoms: Atoms) -> None:
    """Keep in ``info``, in place, what only results of a file say of the charge.

    They go when another calculator comes.

    Raises:
        StructureError: See `total_charge` and `multiplicity`.
    """
    for key, stated in (
        ("charge", total_charge(atoms)),
        ("spin", None if atoms.pbc.any() else multiplicity(atoms)),
    ):
        if stated is not None and stated.source in {_CHARGES, _MOMENT}:
            atoms.info[key] = stated.value


def _of_info(atoms: Atoms, keys: Iterable[str]) -> list[Stated]:
    """Value of ``info`` under any of these names; None is as good as nothing."""
    if not atoms.info:
        return []
    by_lower = {key.lower(): key for key in atoms.info if isinstance(key, str)}
    return [
        Stated(_number(key, atoms.info[key]), f"atoms.info[{key!r}]")
        for key in (by_lower[lower] for lower in keys if lower in by_lower)
        if atoms.info[key] is not None
    ]


def _agreed(found: list[Stated]) -> Stated | None:
    for other in found[1:]:
        if not abs(other.value - found[0].value) < _ROUND_OFF:
            raise StructureError(
                f"{found[0].source} and {other.source} disagree ({found[0].value:g} "
                f"and {other.value:g}); correct or delete one"
            )
    return found[0] if found else None


def _number(key: str, value: Any) -> float:
    try:
        if np.size(value) == 1 and not isinstance(value, (bool, np.bool_)):
            return float(np.asarray(value).reshape(()))
    except (TypeError, ValueError):
        pass
    raise StructureError(
        f"atoms.info[{key!r}] must be one number for the whole structure, got "
        f"{value!r}; correct or delete it"
    )


def _result(atoms: Atoms, key: str) -> "np.ndarray[Any, Any] | None":
    """Stored with the structure; of no calculator that may have seen another."""
    if not isinstance(atoms.calc, SinglePointCalculator):
        return None
    value = atoms.calc.results.get(key)
    return None if value is None else np.asarray(value, dtype=np.float64)


def _label(atoms: Atoms, index: int) -> str:
    return f"{index} ({atoms.symbols[index]})"
