"""Baseline of a potential that is a correction: another calculator.

Here, and only here, the two are added.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from threadpoolctl import threadpool_limits

from ase_physml.calculators.many import NEEDED, compute_one
from ase_physml.calculators.names import make_calculator
from ase_physml.calculators.spread import SPREADS, Results
from ase_physml.errors import StructureError

# Properties that add up; the others, of charge, are the baseline's alone.
_SUMS = ("energy", "free_energy", "energies", "forces", "stress")
_OWN = ("charges", "dipole", "magmoms")


class Baseline:
    """A calculator by name, and copies of it to work on many structures at once.

    Many structures go to threads of one core each: what takes long (an SCF of tblite)
    leaves the interpreter free. Copies and pickles take the name along, and nothing
    else.

    Args:
        name: Name for `make_calculator`, such as "tblite:GFN2-xTB".

    Raises:
        PotentialError: There is no such calculator, or it is not installed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._one: Calculator = make_calculator(name)
        # One a thread; kept, since they start from what they computed last.
        self._idle: SimpleQueue[Calculator] = SimpleQueue()

    def implemented(self, corrected: Sequence[str]) -> list[str]:
        """Properties that the two have together, of those that a potential corrects."""
        has = self._one.implemented_properties
        # ASE: the free energy is the energy where nobody says otherwise.
        sums = [k for k in corrected if k in has or k in ("free_energy", *SPREADS)]
        return [*sums, *(k for k in _OWN if k in has)]

    def add_to(
        self, corrections: Sequence[Results], structures: Sequence[Atoms]
    ) -> list[Results]:
        """Totals of structures: results of this calculator and the potential's.

        Properties that only one of the two has are left out, but for the spread of a
        committee, to which this adds nothing, and charges and dipoles.

        Raises:
            StructureError: The calculator fails; see `evaluate`.
        """
        stress = any("stress" in correction for correction in corrections)
        found = self.evaluate(structures, stress)
        return [_sum(one, by) for one, by in zip(found, corrections, strict=True)]

    def evaluate(self, structures: Sequence[Atoms], stress: bool) -> list[Results]:
        """Results of each structure, in their order.

        Args:
            structures: Neutral and closed-shell; whatever else they say of charges and
                spins is left out.
            stress: Ask for the stress of periodic structures.

        Raises:
            StructureError: The calculator fails at one, named with its reason.
        """
        if len(structures) == 1:
            return [self._evaluate(self._one, structures[0], stress)]
        threads = min(len(structures), torch.get_num_threads())
        with ThreadPoolExecutor(threads, initializer=_one_core) as pool:
            return list(pool.map(partial(self._in_thread, stress=stress), structures))

    def _in_thread(self, atoms: Atoms, stress: bool) -> Results:
        try:
            calculator = self._idle.get_nowait()
        except Empty:
            calculator = make_calculator(self.name)
        try:
            return self._evaluate(calculator, atoms, stress)
        finally:
            self._idle.put(calculator)

    def _evaluate(self, calculator: Calculator, atoms: Atoms, stress: bool) -> Results:
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        wanted = [*NEEDED, "stress"] if stress and atoms.pbc.any() else NEEDED
        try:
            return compute_one(calculator, bare, wanted)
        except Exception as error:
            # Calculators raise anything.
            raise StructureError(
                f"{self.name}, which this potential corrects, fails for "
                f"{atoms.get_chemical_formula()}: {error}"
            ) from error

    def __copy__(self) -> "Baseline":
        return Baseline(self.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Baseline":
        return Baseline(self.name)

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(Baseline(state["name"]).__dict__)


def _sum(found: Results, correction: Results) -> Results:
    total = {
        k: found[k] + correction[k] for k in _SUMS if k in found and k in correction
    }
    total |= {k: correction[k] for k in SPREADS if k in correction}
    if "energy_members" in total:
        total["energy_members"] = total["energy_members"] + found["energy"]
    return total | {k: found[k] for k in _OWN if k in found}


def _one_core() -> None:
    """One thread for libraries called from this one; the others are at work too."""
    threadpool_limits(1, user_api="openmp")
