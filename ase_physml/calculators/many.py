"""One calculator for many structures, each with results of its own.

A calculator that has ``calculate_many(structures) -> list of results`` computes many
structures at once; see `ComputesMany`. Any other of ASE's does them one after another.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

Results = dict[str, Any]

NEEDED = ["energy", "forces"]
"""Results that relaxations and bands need."""


@runtime_checkable
class ComputesMany(Protocol):
    """A calculator for batches.

    It may be given structures of any sizes, and must leave them as they are.
    """

    def calculate_many(self, structures: Sequence[Atoms]) -> list[Results]:
        """Results of each structure: ``energy`` in eV, ``forces`` (N, 3) in eV/Å.

        More results, named as ASE names them, are kept.

        Raises:
            Exception: One that names the first structure that cannot be treated.
        """
        ...


class SharedCalculator(Calculator):
    """Calculator of one structure among many that share another: its own results.

    Args:
        shared: Any calculator of ASE's.
    """

    def __init__(self, shared: Calculator) -> None:
        super().__init__()
        self.shared = shared
        self.implemented_properties = list(shared.implemented_properties)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """ASE's entry, for whoever asks before a batch was computed."""
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        wanted = dict.fromkeys([*NEEDED, *properties])
        self.results = compute_one(self.shared, self.atoms, tuple(wanted))

    def keep(self, atoms: Atoms, results: Results) -> None:
        """Take over what was computed for the structure as it is now."""
        self.atoms = atoms.copy()
        self.results = dict(results)

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Entry of trajectories: that of the shared calculator."""
        tell = getattr(self.shared, "todict", None)
        return {} if tell is None else dict(tell())

    def _get_name(self) -> str:
        return str(getattr(self.shared, "name", type(self.shared).__name__))


def compute_one(
    calculator: Calculator, atoms: Atoms, wanted: Sequence[str] = tuple(NEEDED)
) -> Results:
    """Results of one structure, none of them the calculator's own array."""
    found = {name: calculator.get_property(name, atoms) for name in wanted}
    found = {**getattr(calculator, "results", {}), **found}
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in found.items()}


def compute_each(
    calculator: Calculator, structures: Sequence[Atoms]
) -> Iterator[Results]:
    """Results of structures, in batches where the calculator can."""
    if isinstance(calculator, ComputesMany):
        yield from calculator.calculate_many(structures)
        return
    for atoms in structures:
        yield compute_one(calculator, atoms)
